"""The exercises as a learner may write them: plain lines, nothing checked. Named ``chapter__function``."""

import numpy as np

from refdiff import Gaussian, Schedule, bayes, gaussian, reverse
from refdiff import forward as forward_chapter
from refdiff.gaussian import FullGaussian


def gaussian__log_density(law, x):
    return -np.sum((x - law.mean) ** 2 / (2 * law.var) + np.log(2 * np.pi * law.var) / 2, axis=-1)


def gaussian__entropy(law):
    return np.sum((1 + np.log(2 * np.pi * law.var)) / 2, axis=-1)


def gaussian__kl(q, p):
    r = q.var / p.var
    return np.sum(r - 1 - np.log(r) + (q.mean - p.mean) ** 2 / p.var, axis=-1) / 2


def gaussian__product(p, q):
    precision = 1 / p.var + 1 / q.var
    both = Gaussian((p.mean / p.var + q.mean / q.var) / precision, 1 / precision)
    return both, Gaussian(q.mean, p.var + q.var).log_density(p.mean)


def gaussian__condition(law, known, value):
    rest = [k for k in range(len(law.mean)) if k not in known]
    k_bb, k_ba = law.cov[np.ix_(known, known)], law.cov[np.ix_(known, rest)]
    gain = np.linalg.solve(k_bb, k_ba).T
    cov = law.cov[np.ix_(rest, rest)] - gain @ k_ba
    return FullGaussian(law.mean[rest] + gain @ (value - law.mean[known]), (cov + cov.T) / 2)


def schedule__alpha_bar(beta):
    return np.concatenate([[1.0], np.cumprod(1 - beta)])


def schedule__one_minus_alpha_bar(beta):
    return np.concatenate([[0.0], -np.expm1(np.cumsum(np.log1p(-beta)))])


def schedule__beta_tilde(beta):
    m = np.concatenate([[0.0], -np.expm1(np.cumsum(np.log1p(-beta)))])
    return np.concatenate([[0.0], m[:-1] / m[1:] * beta])


def schedule__cosine(T=1000, s=0.008, max_beta=0.999):
    f = np.cos((np.arange(T + 1) / T + s) / (1 + s) * np.pi / 2) ** 2
    return Schedule.from_betas(np.minimum(1 - f[1:] / f[:-1], max_beta))


def schedule__zero_terminal_snr(schedule):
    root = schedule.signal_rate[1:]
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    alpha_bar = np.concatenate([[1.0], root**2])
    return Schedule.from_betas(1 - alpha_bar[1:] / alpha_bar[:-1], last_may_be_one=True)


def forward__transition(schedule, x_prev, t):
    t = schedule.index(t, x_prev)
    return np.sqrt(schedule.alpha[t]) * x_prev, schedule.beta[t]


def forward__jump(schedule, x_s, s, t):
    s, t = schedule.index(s, x_s, name="s", least=0), schedule.index(t, x_s)
    r = schedule.alpha_bar[t] / schedule.alpha_bar[s]
    return np.sqrt(r) * x_s, 1 - r


def forward__marginal(schedule, x_0, t):
    t = schedule.index(t, x_0)
    return schedule.signal_rate[t] * x_0, schedule.one_minus_alpha_bar[t]


def forward__diffuse(schedule, x_0, eps, t):
    t = schedule.index(t, x_0)
    return schedule.signal_rate[t] * x_0 + schedule.noise_rate[t] * eps


def bayes__posterior(schedule, x_0, x_t, t):
    t = schedule.index(t, x_t)
    one_minus = schedule.one_minus_alpha_bar
    c_0 = np.sqrt(schedule.alpha_bar[t - 1]) * schedule.beta[t] / one_minus[t]
    c_t = np.sqrt(schedule.alpha[t]) * one_minus[t - 1] / one_minus[t]
    return c_0 * x_0 + c_t * x_t, schedule.beta_tilde[t]


def bayes__posterior_from_eps(schedule, eps, x_t, t):
    t = schedule.index(t, x_t)
    mean = (x_t - schedule.beta[t] / schedule.noise_rate[t] * eps) / np.sqrt(schedule.alpha[t])
    return mean, schedule.beta_tilde[t]


def bayes__smoothing(schedule, x_prev, x_next, t):
    t = schedule.index(t, x_prev)
    alpha, beta = schedule.alpha, schedule.beta
    precision = 1 / beta[t] + alpha[t + 1] / beta[t + 1]
    return (
        np.sqrt(alpha[t]) * x_prev / beta[t] + np.sqrt(alpha[t + 1]) * x_next / beta[t + 1]
    ) / precision, 1 / precision


def parameterize__x_0_from_eps(schedule, x_t, eps, t):
    t = schedule.index(t, x_t)
    return (x_t - schedule.noise_rate[t] * eps) / schedule.signal_rate[t]


def parameterize__v_from_eps(schedule, x_t, eps, t):
    t = schedule.index(t, x_t)
    return (eps - schedule.noise_rate[t] * x_t) / schedule.signal_rate[t]


def parameterize__score_from_eps(schedule, x_t, eps, t):
    t = schedule.index(t, x_t)
    return -eps / schedule.noise_rate[t]


def parameterize__mean_from_eps(schedule, x_t, eps, t):
    t = schedule.index(t, x_t)
    return (x_t - schedule.beta[t] / schedule.noise_rate[t] * eps) / np.sqrt(schedule.alpha[t])


def mixture__log_density(mixture, x):
    apart = np.asarray(x)[..., None, :] - mixture.means
    square = apart**2 / mixture.variances + np.log(2 * np.pi * mixture.variances)
    return np.logaddexp.reduce(np.log(mixture.weights) - np.sum(square, axis=-1) / 2, axis=-1)


def mixture__score(mixture, x):
    apart = np.asarray(x)[..., None, :] - mixture.means
    square = apart**2 / mixture.variances + np.log(2 * np.pi * mixture.variances)
    log_joint = np.log(mixture.weights) - np.sum(square, axis=-1) / 2
    r = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=-1)[..., None])
    return -np.sum(r[..., None] * apart / mixture.variances, axis=-2)


def mixture__denoiser(mixture, schedule):
    def denoiser(x_t, t):
        x_t, t = np.asarray(x_t), np.broadcast_to(t, np.shape(x_t)[:-1])
        eps_hat = np.empty(x_t.shape)
        for one in np.unique(t):
            eps_hat[t == one] = -schedule.noise_rate[one] * mixture.diffused(schedule, int(one)).score(x_t[t == one])
        return eps_hat

    return denoiser


def reverse__transition(schedule, denoiser, x_t, t, variance="posterior"):
    at = schedule.index(t, x_t)
    mean = (x_t - schedule.beta[at] / schedule.noise_rate[at] * denoiser(x_t, t)) / np.sqrt(schedule.alpha[at])
    if isinstance(variance, str):
        variance = schedule.beta_tilde if variance == "posterior" else schedule.beta
    return mean, np.asarray(variance)[at]


def reverse__sample(schedule, denoiser, n, d, rng, variance="posterior"):
    x = rng.standard_normal((n, d))
    for t in range(schedule.T, 0, -1):
        law = reverse.transition(schedule, denoiser, x, t, variance)
        x = law.mean
        if t > 1:
            x = x + np.sqrt(law.var) * rng.standard_normal((n, d))
    return x


def reverse__ddim_transition(schedule, denoiser, x_t, s, t, eta=0.0):
    eps_hat = denoiser(x_t, t)
    s, t = schedule.index(s, x_t, name="s", least=0), schedule.index(t, x_t)
    alpha_bar, one_minus = schedule.alpha_bar, schedule.one_minus_alpha_bar
    x_0_hat = (x_t - schedule.noise_rate[t] * eps_hat) / schedule.signal_rate[t]
    sigma_2 = eta**2 * one_minus[s] / one_minus[t] * (1 - alpha_bar[t] / alpha_bar[s])
    kept = np.sqrt(np.maximum(one_minus[s] - sigma_2, 0))
    return schedule.signal_rate[s] * x_0_hat + kept * eps_hat, sigma_2


def elbo__prior_term(schedule, x_0):
    return gaussian.kl(forward_chapter.marginal(schedule, x_0, schedule.T), Gaussian(np.zeros_like(x_0), 1.0))


def elbo__denoising_term(schedule, denoiser, x_0, x_t, t, variance="beta"):
    return gaussian.kl(bayes.posterior(schedule, x_0, x_t, t), reverse.transition(schedule, denoiser, x_t, t, variance))


def elbo__weight(schedule, t, variance="beta"):
    sigma_2 = reverse.var(schedule, t, variance)
    return schedule.beta[t] ** 2 / (2 * sigma_2 * schedule.alpha[t] * schedule.one_minus_alpha_bar[t])


def elbo__simple_loss(schedule, denoiser, x_0, rng):
    t = rng.integers(1, schedule.T + 1, size=len(x_0))
    eps = rng.standard_normal(x_0.shape)
    x_t = schedule.signal_rate[t][:, None] * x_0 + schedule.noise_rate[t][:, None] * eps
    return np.sum((eps - denoiser(x_t, t)) ** 2, axis=-1)


def likelihood__log_mean_weight(log_weights):
    top = log_weights.max(axis=0)
    top = np.where(np.isneginf(top), 0.0, top)
    return top + np.log(np.mean(np.exp(log_weights - top), axis=0))


def likelihood__effective_sample_size(log_weights):
    w = np.exp(log_weights - log_weights.max(axis=0))
    return w.sum(axis=0) ** 2 / (w**2).sum(axis=0)


def likelihood__log_weight(schedule, denoiser, chain):
    log_w = Gaussian(np.zeros_like(chain[-1]), 1.0).log_density(chain[-1])
    for t in range(1, schedule.T + 1):
        log_w = log_w + reverse.transition(schedule, denoiser, chain[t], t, "beta").log_density(chain[t - 1])
        log_w = log_w - forward_chapter.transition(schedule, chain[t - 1], t).log_density(chain[t])
    return log_w


def score__langevin_transition(score, x, h):
    return x + h * score(x), 2 * h


def score__mala_log_acceptance(log_density, score, x, y, h):
    def log_k(there, here):
        return -np.sum((there - here - h * score(here)) ** 2, axis=-1) / (4 * h)

    return np.minimum(0, log_density(y) + log_k(x, y) - log_density(x) - log_k(y, x))


def continuous__reverse_drift(sde, score, x, s):
    f, g = np.asarray(sde.drift_rate(s)), np.asarray(sde.diffusion(s))
    return f[..., None] * x - g[..., None] ** 2 * score(x, s)


def continuous__probability_flow_drift(sde, score, x, s):
    f, g = np.asarray(sde.drift_rate(s)), np.asarray(sde.diffusion(s))
    return f[..., None] * x - g[..., None] ** 2 * score(x, s) / 2


def guidance__classifier_free(conditional, unconditional, w):
    return lambda x_t, t: (1 + w) * conditional(x_t, t) - w * unconditional(x_t, t)


def network__linear(x, weight, bias):
    return x @ weight + bias, lambda dy: (dy @ weight.T, x.T @ dy, dy.sum(axis=0))


def network__silu(x):
    sigma = (1 + np.tanh(x / 2)) / 2
    return x * sigma, lambda dy: dy * (sigma + x * sigma * (1 - sigma))


def network__dense(x, weight, bias):
    a = x @ weight + bias
    sigma = (1 + np.tanh(a / 2)) / 2

    def pullback(dy):
        da = dy * (sigma + a * sigma * (1 - sigma))
        return da @ weight.T, x.T @ da, da.sum(axis=0)

    return a * sigma, pullback


def network__update(adam, theta, gradient, learning_rate):
    adam.step += 1
    adam.first_moment = adam.beta_1 * adam.first_moment + (1 - adam.beta_1) * gradient
    adam.second_moment = adam.beta_2 * adam.second_moment + (1 - adam.beta_2) * gradient**2
    m_hat = adam.first_moment / (1 - adam.beta_1**adam.step)
    v_hat = adam.second_moment / (1 - adam.beta_2**adam.step)
    theta -= learning_rate * (m_hat / (np.sqrt(v_hat) + adam.epsilon) + adam.weight_decay * theta)
