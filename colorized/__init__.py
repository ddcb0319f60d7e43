"Color for black-and-white photographs, by a conditional diffusion model"
__version__ = "0.1.0"

_PLACES = dict( # where the names for everyday use are defined
    Colorizer='inference.colorizer', Colorization='inference.colorization', Scan='photo.scan',
    read_scan='photo.reading', colorize_folder='batch.folder', train='training.train',
    evaluate_folders='evaluation.folders', evaluate_model='evaluation.folders')

def __getattr__(name): # so that `import colorized` stays light
    if name not in _PLACES: raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module
    return getattr(import_module(f'{__name__}.{_PLACES[name]}'), name)

def __dir__(): return [*globals(), *_PLACES]
