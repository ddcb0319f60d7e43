import pytest
from colorized import Colorizer
from colorized.photo.scan import Scan

@pytest.fixture(scope='session')
def packaged():
    "The weights inside the package"
    return Colorizer.from_pretrained(device='cpu')

@pytest.fixture(scope='session')
def L(gray): return Scan(gray).thumbnail_L((256, 384))
