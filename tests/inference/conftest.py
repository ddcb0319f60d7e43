from pathlib import Path
import pytest, torch
from colorized import Colorizer

torch.set_num_threads(1)
PHOTO = Path(__file__).resolve().parents[2]/'nbs/images/campus-1910.jpg'

@pytest.fixture(scope='session')
def photo(): return PHOTO

@pytest.fixture(scope='session')
def colorizer(): return Colorizer.from_pretrained(device='cpu')

@pytest.fixture(scope='session')
def four(colorizer, gray):
    "Four quick colorings"
    return colorizer.colorize(gray, n_samples=4, seed=3, steps=2)
