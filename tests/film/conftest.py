import pytest, torch

pytest.importorskip('av', reason="needs the extra film")

@pytest.fixture(scope='session')
def tiny(model):
    "A colorizer that is small, quick, and not good"
    from colorized.inference.colorizer import Colorizer
    torch.set_num_threads(1)
    return Colorizer.from_pretrained(model, 'cpu')

@pytest.fixture
def color(tiny, tmp_path):
    "`colorize_film` with it"
    from colorized.film.film import colorize_film
    def run(path, out=None, **kwargs):
        options = dict(working_size=64, steps=2, gap=4)
        return colorize_film(path, out, tiny, False, **{**options, **kwargs})
    run.colorizer = tiny
    return run
