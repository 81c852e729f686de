r"""Wrong versions of training: derivatives, optimizers and loops, as found in print and in code."""

import numpy as np

from refdiff import forward, network
from refdiff.network.mlp import linear, one_hot, point_embedding, time_embedding
from refdiff.verify.identity import erratum


def forward_with(waves=None, kinds=one_hot):
    """Return the method `forward` with another embedding of t along the batch, or other vectors for the labels."""

    def forward(self, x, t, y=None):
        rows = np.reshape(x, (-1, self.dim))
        t, y = (np.broadcast_to(one, np.shape(x)[:-1]).reshape(-1) for one in (t, -1 if y is None else y))
        places, through = point_embedding(rows, self.waves)
        times = time_embedding(t, self.clocks) if waves is None else waves(t, self.clocks)
        h = np.concatenate([places, kinds(y, self.config["classes"]), times], axis=1)
        tape = [lambda dh: through(dh[:, : places.shape[1]])]
        for k, layer in enumerate(self.layers(), start=1):
            h, pullback = layer(h, self.parameters[f"weight_{k}"], self.parameters[f"bias_{k}"])
            tape.append(pullback)
        return h.reshape(np.shape(x)), tape

    return forward


def waves_along_the_batch(t, clocks):
    """Return sines for each other point and cosines for the rest."""
    angle = t[:, None] * np.tile(clocks, 2)
    return np.where(np.arange(len(t))[:, None] % 2 == 0, np.sin(angle), np.cos(angle))


erratum(
    "embedding-along-the-batch",
    source="gmongaras/Diffusion_models_from_scratch#10",
    says=r"\text{row } i \text{ of the batch gets } \sin\omega t \text{ if } i \text{ is even},"
    r" \cos\omega t \text{ if it is odd}",
    correct=r"\text{every row gets } (\sin\omega t, \cos\omega t)",
    replaces="network.MLP.forward",
    rejected_by="network.forward",
)(forward_with(waves=waves_along_the_batch))


erratum(
    "no-label-is-class-0",
    source="a common slip: 0 is no label where classes count from 1, as they do in"
    " zoubohao/DenoisingDiffusionProbabilityModel-ddpm-#30",
    says=r"\hat\epsilon(x_t, t) = \hat\epsilon(x_t, t, 0)",
    correct=r"\text{no label is none of the classes: } (1_{y=0}, \ldots, 1_{y=C-1}) = 0",
    replaces="network.MLP.forward",
    rejected_by="network.forward",
    coincides="where every point has a label",
)(forward_with(kinds=lambda y, classes: one_hot(np.maximum(y, 0), classes)))


erratum(
    "no-label-is-the-last-class",
    source="a common slip: an index -1 counts from the end",
    says=r"\hat\epsilon(x_t, t) = \hat\epsilon(x_t, t, C - 1)",
    correct=r"\text{no label is none of the classes: } (1_{y=0}, \ldots, 1_{y=C-1}) = 0",
    replaces="network.MLP.forward",
    rejected_by="network.forward",
    coincides="where every point has a label",
)(forward_with(kinds=lambda y, classes: np.eye(classes)[y] if classes else np.zeros((len(y), 0))))


erratum(
    "label-with-the-sign-of-its-mask",
    source="TeaPearce/Conditional_Diffusion_MNIST#1",
    says=r"-1_y \text{ for what keeps its label}",
    correct=r"1_y \text{ for what keeps its label}, 0 \text{ for what does not}",
    replaces="network.MLP.forward",
    rejected_by="network.forward",
    coincides="once a network has been trained so: its rows have the other sign too",
)(forward_with(kinds=lambda y, classes: -one_hot(y, classes)))


@erratum(
    "uniform-initialization",
    source="the default of PyTorch read as that of LeCun et al.; see pytorch/pytorch#1667 and #5168",
    says=r"W, b \sim U\left(-\tfrac{1}{\sqrt{\text{fan in}}}, \tfrac{1}{\sqrt{\text{fan in}}}\right)",
    correct=r"\operatorname{Var} W = \tfrac{1}{\text{fan in}}; \text{ that of the uniform law is a third of it}",
    replaces="network.MLP.__init__",
    rejected_by="network.initialization",
)
def uniform_initialization(self, dim=2, *, rng, **settings):
    network.MLP.__init__(self, dim, rng=rng, **settings)
    for k in range(1, len(self.parameters) // 2 + 1):
        bound = len(self.parameters[f"weight_{k}"]) ** -0.5
        for parameter in (self.parameters[f"weight_{k}"], self.parameters[f"bias_{k}"]):
            parameter[...] = rng.uniform(-bound, bound, parameter.shape)


@erratum(
    "training-not-given-t",
    source="S4, lines 43, 97",
    says=r"\left\lVert \epsilon - \hat\epsilon(x_t) \right\rVert^2",
    correct=r"\left\lVert \epsilon - \hat\epsilon(x_t, t) \right\rVert^2",
    replaces="network.loss",
    rejected_by="network.loss",
    coincides="for a model that does not look at t",
)
def loss_without_t(model, x_0, t, eps, schedule):
    x_t = forward.diffuse(schedule, x_0, eps, t)
    return float(np.mean((eps - model(x_t, np.ones_like(t))) ** 2))  # whatever t was, the model hears the same


@erratum(
    "labels-not-given-to-the-model",
    source="huggingface/diffusers#5401, where labels are dropped without a word",
    says=r"\left\lVert \epsilon - \hat\epsilon(x_t, t) \right\rVert^2",
    correct=r"\left\lVert \epsilon - \hat\epsilon(x_t, t, y) \right\rVert^2",
    replaces="network.loss",
    rejected_by="network.loss_given",
    coincides="for a model that does not look at y",
)
def loss_without_labels(model, x_0, t, eps, schedule, y=None):
    return network.loss(model, x_0, t, eps, schedule)


@erratum(
    "repeated-label-counted-once",
    source="karpathy/nn-zero-to-hero#57; tenstorrent/tt-metal#6232",
    says=r"\partial W[y] \mathrel{+}= \partial a \text{ by an index that repeats: the last of its points counts}",
    correct=r"\partial W[k] = \textstyle\sum_{i:\, y_i = k} \partial a_i",
    replaces="network.loss_and_gradients",
    rejected_by="network.gradient",
    coincides="for labels that all differ",
)
def gradients_with_repeated_labels_counted_once(model, x_0, t, eps, schedule, y=None):
    value, _ = network.loss_and_gradients(model, x_0, t, eps, schedule, y)
    if y is None:
        return value, model.gradients
    right, classes = model.gradient.copy(), model.config["classes"]
    first = len(model.parameters["weight_1"]) - model.config["time_dim"] - classes
    rows = np.zeros((classes, model.config["width"]))
    for i, label in enumerate(y):
        if label >= 0:
            network.loss_and_gradients(model, x_0[i : i + 1], t[i : i + 1], eps[i : i + 1], schedule, y[i : i + 1])
            rows[label] = model.gradients["weight_1"][first + label] / len(y)
    model.gradient[...] = right
    model.gradients["weight_1"][first : first + classes] = rows
    return value, model.gradients


@erratum(
    "backward-is-not-an-update",
    source="S4, lines 45, 99",
    says=r"\texttt{loss.backward()}: \quad \theta \leftarrow \theta - \eta\, \nabla L",
    correct=r"\texttt{backward} \text{ fills the gradients and leaves } \theta \text{ alone: the optimizer steps}",
    replaces="network.MLP.backward",
    rejected_by="network.gradient",
)
def backward_that_updates(self, tape, grad_output):
    grad_x = network.MLP.backward(self, tape, grad_output)
    self.theta -= 0.3 * self.gradient
    return grad_x


@erratum(
    "gradients-pile-up",
    source="S4, lines 39-45 and 93-99, where nothing sets them to zero; as in yastrebksv/TennisCourtDetector#7",
    says=r"\texttt{gradients}_k = \texttt{gradients}_{k-1} + \nabla L_k",
    correct=r"\texttt{gradients}_k = \nabla L_k",
    replaces="network.MLP.backward",
    rejected_by="network.gradient",
    coincides="in the first step",
)
def backward_that_adds(self, tape, grad_output):
    before = self.gradient.copy()
    grad_x = network.MLP.backward(self, tape, grad_output)
    self.gradient += before
    return grad_x


def layers_with(silu_derivative):
    """Return the method `layers` with another derivative of silu."""

    def dense(x, weight, bias):
        a, through_linear = linear(x, weight, bias)
        return a / (1 + np.exp(-a)), lambda dy: through_linear(dy * silu_derivative(a))

    def residual(x, weight, bias):
        branch, through_branch = dense(x, weight, bias)

        def pullback(dy):
            dx, *rest = through_branch(dy)
            return dy + dx, *rest

        return x + branch, pullback

    def layers(self):
        inner = residual if self.config["residual"] else dense
        return [dense, *[inner] * (self.config["depth"] - 1), linear]

    return layers


erratum(
    "silu-derivative-parentheses",
    source="chelsea0x3b/dfdx#915",
    says=r"\operatorname{silu}'(x) = 1 + e^{-x} + \frac{x e^{-x}}{(1 + e^{-x})^2}",
    correct=r"\operatorname{silu}'(x) = \frac{1 + e^{-x} + x e^{-x}}{(1 + e^{-x})^2}",
    replaces="network.MLP.layers",
    rejected_by="network.gradient",
)(layers_with(lambda x: 1 + np.exp(-x) + x * np.exp(-x) / (1 + np.exp(-x)) ** 2))


erratum(
    "silu-derivative-without-product-rule",
    source="a common slip",
    says=r"\operatorname{silu}'(x) = \sigma(x)",
    correct=r"\operatorname{silu}'(x) = \sigma(x) + x\, \sigma'(x)",
    replaces="network.MLP.layers",
    rejected_by="network.gradient",
    coincides="at x = 0",
)(layers_with(lambda x: 1 / (1 + np.exp(-x))))


@erratum(
    "adam-without-bias-correction",
    source="oxiglade/mlx-rs#301",
    says=r"\theta_k = \theta_{k-1} - \eta\, \frac{m_k}{\sqrt{v_k} + \varepsilon}",
    correct=r"\theta_k = \theta_{k-1}"
    r" - \eta\, \frac{m_k / (1 - \beta_1^k)}{\sqrt{v_k / (1 - \beta_2^k)} + \varepsilon}",
    replaces="network.AdamW.update",
    rejected_by="network.adam",
    coincides="after some thousand steps; the first one is 3.2 times too long",
)
def update_without_bias_correction(self, theta, gradient, learning_rate):
    _moments(self, gradient)
    _move(self, theta, self.first_moment, self.second_moment, learning_rate)


@erratum(
    "adam-correction-without-power",
    source="eriklindernoren/ML-From-Scratch#35",
    says=r"\hat m_k = \frac{m_k}{1 - \beta_1}, \quad \hat v_k = \frac{v_k}{1 - \beta_2}",
    correct=r"\hat m_k = \frac{m_k}{1 - \beta_1^k}, \quad \hat v_k = \frac{v_k}{1 - \beta_2^k}",
    replaces="network.AdamW.update",
    rejected_by="network.adam",
    coincides="in the first step",
)
def update_with_correction_of_the_first_step(self, theta, gradient, learning_rate):
    _moments(self, gradient)
    m_hat, v_hat = self.first_moment / (1 - self.beta_1), self.second_moment / (1 - self.beta_2)
    _move(self, theta, m_hat, v_hat, learning_rate)


@erratum(
    "adam-correction-multiplied",
    source="karpathy/convnetjs#107",
    says=r"\hat m_k = m_k\,(1 - \beta_1^k), \quad \hat v_k = v_k\,(1 - \beta_2^k)",
    correct=r"\hat m_k = \frac{m_k}{1 - \beta_1^k}, \quad \hat v_k = \frac{v_k}{1 - \beta_2^k}",
    replaces="network.AdamW.update",
    rejected_by="network.adam",
    coincides="after some thousand steps",
)
def update_with_correction_multiplied(self, theta, gradient, learning_rate):
    _moments(self, gradient)
    m_hat = self.first_moment * (1 - self.beta_1**self.step)
    v_hat = self.second_moment * (1 - self.beta_2**self.step)
    _move(self, theta, m_hat, v_hat, learning_rate)


@erratum(
    "adam-decay-in-the-gradient",
    source="anhquan0412/basic_model_scratch#2",
    says=r"g_k = \nabla L + \lambda\,\theta_{k-1}",
    correct=r"g_k = \nabla L, \text{ and the step has } -\eta\lambda\,\theta_{k-1} \text{ beside it}",
    replaces="network.AdamW.update",
    rejected_by="network.adam",
    coincides="for lambda = 0",
)
def update_with_decay_in_the_gradient(self, theta, gradient, learning_rate):
    plain = network.AdamW.update
    decay, self.weight_decay = self.weight_decay, 0.0
    plain(self, theta, gradient + decay * theta, learning_rate)
    self.weight_decay = decay


def _moments(self, gradient):
    """Bring the two moments up to date, as in Adam."""
    self.step += 1
    self.first_moment += (1 - self.beta_1) * (gradient - self.first_moment)
    self.second_moment += (1 - self.beta_2) * (gradient**2 - self.second_moment)


def _move(self, theta, m_hat, v_hat, learning_rate):
    """Take the step that two corrected moments, or what passes for them, ask for."""
    theta -= learning_rate * (m_hat / (np.sqrt(v_hat) + self.epsilon) + self.weight_decay * theta)


@erratum(
    "ema-sign",
    source="ostris/ai-toolkit#1034",
    says=r"\bar\theta_k = \bar\theta_{k-1} + (1 - d_k)(\bar\theta_{k-1} - \theta_k)",
    correct=r"\bar\theta_k = \bar\theta_{k-1} - (1 - d_k)(\bar\theta_{k-1} - \theta_k)",
    replaces="network.EMA.update",
    rejected_by="network.ema",
)
def ema_that_runs_away(self, theta):
    self.step += 1
    decay = min(self.decay, (1 + self.step) / (10 + self.step))
    self.average += (1 - decay) * (self.average - theta)


@erratum(
    "ema-decay-overwritten",
    source="huggingface/diffusers#1864",
    says=r"d \leftarrow 1 - \min\left(d, \frac{1 + k}{10 + k}\right) \text{ at each step, and } 1 - d_k = d",
    correct=r"1 - d_k = 1 - \min\left(d, \frac{1 + k}{10 + k}\right) \text{ with the same } d \text{ throughout}",
    replaces="network.EMA.update",
    rejected_by="network.ema",
    coincides="in the first step",
)
def ema_with_decay_overwritten(self, theta):
    self.step += 1
    self.decay = 1 - min(self.decay, (1 + self.step) / (10 + self.step))
    self.average += self.decay * (theta - self.average)


@erratum(
    "cosine-runs-during-warmup",
    source="lindermanlab/S5#11; facebookresearch/fairchem#1967",
    says=r"\eta_k = \frac\eta2 \left(1 + \cos \pi\, \frac{k - 1}{n}\right), \quad k > w",
    correct=r"\eta_k = \frac\eta2 \left(1 + \cos \pi\, \frac{k - 1 - w}{n - w}\right), \quad k > w",
    replaces="network.cosine_learning_rate",
    rejected_by="network.cosine_learning_rate",
    coincides="without warm-up",
)
def cosine_that_runs_during_warmup(step, steps, peak, warmup=0):
    if step <= warmup:
        return peak * step / (warmup + 1)
    return peak / 2 * (1 + np.cos(np.pi * (step - 1) / steps))


@erratum(
    "warmup-from-zero",
    source="NVIDIA-NeMo/Speech#10582",
    says=r"\eta_k = \eta\, \frac{k - 1}{w}, \quad k \le w",
    correct=r"\eta_k = \eta\, \frac{k}{w + 1}, \quad k \le w",
    replaces="network.cosine_learning_rate",
    rejected_by="network.cosine_learning_rate",
    coincides="without warm-up; the step that it wastes is the first",
)
def warmup_from_zero(step, steps, peak, warmup=0):
    right = network.cosine_learning_rate(step, steps, peak, warmup)
    return peak * (step - 1) / warmup if step <= warmup else right


@erratum(
    "clipped-one-by-one",
    source="carpedm20/MemN2N-tensorflow#19; huggingface/transformers#581",
    says=r"g_i \leftarrow g_i \cdot \min\left(1, \frac{c}{|g_i|}\right) \text{ for each part } g_i",
    correct=r"g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right)"
    r" \text{ for all parts together: the direction stays}",
    replaces="network.clip_by_global_norm",
    rejected_by="network.clip_by_global_norm",
)
def clip_one_by_one(gradient, limit):
    norm = float(np.linalg.norm(gradient))
    np.clip(gradient, -limit, limit, out=gradient)
    return norm


class Uniform(np.random.Generator):
    """A generator whose normal numbers are uniform on [0, 1): what `rand` draws where `randn` is meant."""

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        """Draw from [0, 1)."""
        return self.random(size, dtype, out)


@erratum(
    "rand-for-randn",
    source="acids-ircam/diffusion_models#8",
    says=r"\epsilon \sim U[0, 1)",
    correct=r"\epsilon \sim \mathcal{N}(0, I)",
    replaces="network.fit",
    rejected_by="network.fit",
)
def fit_with_uniform_noise(model, data, schedule, rng, steps, **settings):
    return network.fit(model, data, schedule, Uniform(rng.bit_generator), steps, **settings)


@erratum(
    "labels-dropped-for-the-whole-batch",
    source="dome272/Diffusion-Models-pytorch, ddpm_conditional.py",
    says=r"y_1, \ldots, y_n \leftarrow -1 \text{ together, with probability } p",
    correct=r"y_i \leftarrow -1 \text{ with probability } p, \text{ each by itself}",
    replaces="network.drop_labels",
    rejected_by="network.drop_labels",
    coincides="on average over many batches, whose gradients then vary more",
)
def drop_all_labels_or_none(y, probability, rng):
    return np.full_like(y, -1) if rng.random() < probability else np.array(y)


@erratum(
    "probability-to-drop-taken-for-that-to-keep",
    source="lucidrains/DALLE2-pytorch#35",
    says=r"y_i \text{ is kept with probability } p",
    correct=r"y_i \text{ is kept with probability } 1 - p",
    replaces="network.drop_labels",
    rejected_by="network.drop_labels",
    coincides="for p = 1/2",
)
def keep_labels(y, probability, rng):
    return network.drop_labels(y, 1 - probability, rng)


@erratum(
    "dropped-label-is-class-0",
    source="a common slip: labels multiplied by a mask",
    says=r"y_i \leftarrow y_i \cdot 0",
    correct=r"y_i \leftarrow -1, \text{ which is no class}",
    replaces="network.drop_labels",
    rejected_by="network.drop_labels",
    coincides="for p = 0",
)
def labels_times_mask(y, probability, rng):
    return np.asarray(y) * (rng.random(np.shape(y)) >= probability)


@erratum(
    "mask-drawn-and-not-used",
    source="lucidrains/DALLE2-pytorch#235",
    says=r"\hat\epsilon(x_t, t, y_i) \text{ for all } i, \text{ whatever was to be dropped}",
    correct=r"\hat\epsilon(x_t, t) \text{ with probability } p",
    replaces="network.fit",
    rejected_by="network.fit_labels",
    coincides="for p = 0",
)
def fit_that_drops_no_label(model, data, schedule, rng, steps, *, drop_label=0.1, **settings):
    return network.fit(model, data, schedule, rng, steps, drop_label=0.0, **settings)


@erratum(
    "labels-in-another-order",
    source="atong01/conditional-flow-matching#172",
    says=r"(x_{0,i}, y_{\pi(i)}) \text{ for a permutation } \pi \text{ of the batch}",
    correct=r"(x_{0,i}, y_i)",
    replaces="network.fit",
    rejected_by="network.fit_labels",
    coincides="for a label that all points share",
)
def fit_with_labels_in_another_order(model, data, schedule, rng, steps, *, labels=None, **settings):
    labels = None if labels is None else rng.permutation(labels)
    return network.fit(model, data, schedule, rng, steps, labels=labels, **settings)


class OneCoin(np.random.Generator):
    """A generator that tosses one coin for all labels of a batch."""

    def random(self, size=None, dtype=np.float64, out=None):
        """Draw one number, for all."""
        return np.full(size, super().random(dtype=dtype))


@erratum(
    "one-coin-for-the-batch",
    source="levihsu/OOTDiffusion#122",
    says=r"y_1, \ldots, y_n \leftarrow -1 \text{ if } u < p, \quad u \sim U[0, 1)",
    correct=r"y_i \leftarrow -1 \text{ if } u_i < p, \quad u_i \sim U[0, 1) \text{ independent}",
    replaces="network.fit",
    rejected_by="network.fit_labels",
    coincides="for a batch of one",
)
def fit_with_one_coin(model, data, schedule, rng, steps, **settings):
    return network.fit(model, data, schedule, OneCoin(rng.bit_generator), steps, **settings)
