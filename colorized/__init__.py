"Colour for black-and-white photographs, by a conditional diffusion model"
__version__ = "0.1.0"
