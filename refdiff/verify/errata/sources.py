r"""The published texts that the errata cite as S0 to S4."""

SOURCES = {
    "S0": "“Diffusion”, notes on diffusion as a Markovian hierarchical VAE; author and year unknown; Chinese",
    "S1": "A derivation of “DDPM: Denoising Diffusion Probabilistic Models”, after a column on Zhihu; author and year"
    " unknown; Chinese",
    "S2": "“Diffusiion-based Generative Model”, lecture notes; author and year unknown; Chinese",
    "S3": "Gabriel Raya, “Diffusion models explained”, 2022; English",
    "S4": "Lao Qi, “Understanding Denoising Diffusion Probabilistic Models”, 2024; English",
}
