"Colour for black-and-white photographs, by a conditional diffusion model"
__version__ = "0.1.0"

def __getattr__(name): # so that `import colorized` stays light
    if name=='Colorizer':
        from colorized.colorizer import Colorizer
        return Colorizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
