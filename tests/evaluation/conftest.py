import pytest, torch
from skimage import data
from colorized.evaluation.features import LiteExtractor
from .samples import square

torch.set_num_threads(1)

@pytest.fixture(scope='session')
def photos():
    "Espresso, a cat, an astronaut, a rocket, a palace, a flower: (6,3,256,256) uint8"
    from sklearn.datasets import load_sample_image # slow to load
    sources = [o() for o in (data.coffee, data.chelsea, data.astronaut, data.rocket)]
    sources += [load_sample_image(o) for o in ('china.jpg', 'flower.jpg')]
    return torch.stack([square(o, 256) for o in sources])

@pytest.fixture(scope='session')
def small(photos): return photos[:,:,::4,::4].contiguous()

@pytest.fixture(scope='session')
def tiles(photos):
    cut = photos.unfold(2, 64, 48).unfold(3, 64, 48)
    return cut.permute(0,2,3,1,4,5).reshape(-1,3,64,64)

@pytest.fixture(scope='session')
def lite1(): return LiteExtractor('lite1')
