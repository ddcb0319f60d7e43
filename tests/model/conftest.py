from pathlib import Path
import numpy as np, pytest
from PIL import Image
from colorized import Colorizer
from colorized.photo.scan import Scan

PHOTO = Path(__file__).resolve().parents[2]/'nbs/images/campus-1910.jpg'

@pytest.fixture(scope='session')
def packaged():
    "The weights inside the package"
    return Colorizer.from_pretrained(device='cpu')

@pytest.fixture(scope='session')
def gray():
    "(128,200) uint8, coloured at a shorter side of 256"
    im = Image.open(PHOTO).convert('L').resize((200, 128), Image.Resampling.LANCZOS)
    return np.asarray(im)

@pytest.fixture(scope='session')
def L(gray): return Scan(gray).thumbnail_L((256, 384))
