"""The peers, written from their published descriptions as a user writes them: plain PyTorch, eager, float32."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn.functional import mse_loss

LOG_2_PI = math.log(2 * math.pi)


def sinusoidal(x, size, scale=1.0):
    """Sines and cosines of x at frequencies 1 .. 1/10000, worked out at each call, as published code does."""
    half = size // 2
    frequencies = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
    angle = scale * x[:, None] * frequencies
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear, self.activation = nn.Linear(width, width), nn.GELU()

    def forward(self, h):
        return h + self.activation(self.linear(h))


class NetA(nn.Module):
    """Embeddings of both coordinates and of t, 384 -> 128, three residual GELU blocks, -> 2."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3 * 128, 128), nn.GELU(), *[Block(128) for _ in range(3)], nn.Linear(128, 2)
        )

    def forward(self, x, t):
        embedded = [sinusoidal(x[:, 0], 128, 25.0), sinusoidal(x[:, 1], 128, 25.0), sinusoidal(t, 128)]
        return self.layers(torch.cat(embedded, dim=-1))


class NetB(nn.Module):
    """The point and an embedding of t, 34 -> 128, three layers SiLU, -> 2."""

    def __init__(self):
        super().__init__()
        hidden = [layer for n in (34, 128, 128) for layer in (nn.Linear(n, 128), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(128, 2))

    def forward(self, x, t):
        return self.layers(torch.cat([x, sinusoidal(t, 32)], dim=-1))


NETS = {"A": NetA, "B": NetB}


def table(a):
    return torch.tensor(np.asarray(a), dtype=torch.float32)


def training(net, data, schedule, batch, **adam):
    """Return run(n): n steps of DDPM's Algorithm 1."""
    model, data = NETS[net](), table(data)
    signal, noise = table(schedule.signal_rate), table(schedule.noise_rate)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, **adam)

    def run(n):
        for _ in range(n):
            x_0 = data[torch.randint(len(data), (batch,))]
            eps = torch.randn(x_0.shape)
            t = torch.randint(1, schedule.T + 1, (batch,))
            x_t = signal[t][:, None] * x_0 + noise[t][:, None] * eps
            loss = mse_loss(model(x_t, t), eps)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return run


def scheduler(schedule):
    from diffusers import DDPMScheduler

    return DDPMScheduler(
        num_train_timesteps=schedule.T, trained_betas=schedule.beta[1:].astype(np.float32), clip_sample=False
    )


def sampling(net, schedule, n):
    """Return a function that draws n points by ancestral sampling: diffusers' loop."""
    model, steps = NETS[net](), scheduler(schedule)

    @torch.no_grad()
    def sample():
        x = torch.randn(n, 2)
        for t in steps.timesteps:
            eps_hat = model(x, t.expand(n))
            x = steps.step(eps_hat, t, x).prev_sample
        return x

    return sample


def add_noise(schedule, x_0, eps, t):
    """Return a function that draws x_t for a given noise; t counts from 1."""
    steps, x_0, eps, t = scheduler(schedule), table(x_0), table(eps), torch.tensor(t - 1)
    return lambda: steps.add_noise(x_0, eps, t)


def normal_kl(mean_1, log_var_1, mean_2, log_var_2):
    return 0.5 * (
        log_var_2 - log_var_1 + torch.exp(log_var_1 - log_var_2) + (mean_1 - mean_2) ** 2 * torch.exp(-log_var_2) - 1
    )


class Elbo:
    """All T terms of the bound and the prior's, a step at a time, the whole batch at once, as improved-diffusion does.

    The variances of the model are beta_t. What it computes besides, errors of x_0 and of eps and the decoder at each
    step and not only at the first, is left out: that would cost the peer time.
    """

    def __init__(self, model, schedule):
        self.model, self.T = model, schedule.T
        before, after = schedule.alpha_bar[:-1], schedule.one_minus_alpha_bar[1:]
        beta, alpha, signal = schedule.beta[1:], schedule.alpha[1:], schedule.signal_rate[1:]
        posterior_var = np.concatenate([schedule.beta_tilde[2:3], schedule.beta_tilde[2:]])  # never log 0
        self.signal, self.noise = table(signal), table(schedule.noise_rate[1:])
        self.log_noise_var = table(np.log(after))
        self.reciprocal, self.ratio = table(1 / signal), table(schedule.noise_rate[1:] / signal)
        self.c_0 = table(beta * np.sqrt(before) / after)
        self.c_t = table(np.sqrt(alpha) * schedule.one_minus_alpha_bar[:-1] / after)
        self.log_posterior_var, self.log_model_var = table(np.log(posterior_var)), table(np.log(beta))

    def at(self, values, t, like):
        return values[t][:, None].expand(like.shape)

    def posterior(self, x_0, x_t, t):
        mean = self.at(self.c_0, t, x_t) * x_0 + self.at(self.c_t, t, x_t) * x_t
        return mean, self.at(self.log_posterior_var, t, x_t)

    def term(self, x_0, x_t, t):
        true_mean, true_log_var = self.posterior(x_0, x_t, t)
        eps_hat = self.model(x_t, t + 1)
        x_0_hat = self.at(self.reciprocal, t, x_t) * x_t - self.at(self.ratio, t, x_t) * eps_hat
        mean, _ = self.posterior(x_0_hat, x_t, t)
        log_var = self.at(self.log_model_var, t, x_t)
        if t[0] == 0:
            return 0.5 * ((x_0 - mean) ** 2 * torch.exp(-log_var) + log_var + LOG_2_PI).sum(dim=1)
        return normal_kl(true_mean, true_log_var, mean, log_var).sum(dim=1)

    @torch.no_grad()
    def __call__(self, x_0):
        """Return the bound in nats at each point."""
        n, terms = len(x_0), []
        for step in reversed(range(self.T)):
            t = torch.full((n,), step)
            eps = torch.randn_like(x_0)
            x_t = self.at(self.signal, t, x_0) * x_0 + self.at(self.noise, t, x_0) * eps
            terms.append(self.term(x_0, x_t, t))
        last = torch.full((n,), self.T - 1)
        zero = torch.zeros(())
        prior = normal_kl(self.at(self.signal, last, x_0) * x_0, self.at(self.log_noise_var, last, x_0), zero, zero)
        return torch.stack(terms, dim=1).sum(dim=1) + prior.sum(dim=1)


def gradient(model, features, eps, dtype):
    """Return the gradient of the mean squared error by autograd: the network of `model`, given what goes into it."""
    config = model.config
    parameters = {name: torch.tensor(a, dtype=dtype, requires_grad=True) for name, a in model.parameters.items()}
    activation = {"silu": nn.functional.silu, "gelu": nn.functional.gelu}[config.get("activation", "silu")]
    h = torch.tensor(features, dtype=dtype)
    for k in range(1, config["depth"] + 1):
        y = activation(h @ parameters[f"weight_{k}"] + parameters[f"bias_{k}"])
        h = h + y if config["residual"] and k > 1 else y
    eps_hat = h @ parameters[f"weight_{config['depth'] + 1}"] + parameters[f"bias_{config['depth'] + 1}"]
    mse_loss(eps_hat, torch.tensor(eps, dtype=dtype)).backward()
    return np.concatenate([p.grad.numpy().astype(float).ravel() for p in parameters.values()])
