"Old film: independent ways to the same gray, and the same photograph from the same seed for ever"
import numpy as np, pytest
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.color import rgb2lab
from colorized.training import aging
from colorized.training.aging import film_weights, lightness, simulate_aging

def test_lightness_is_that_of_scikit_image():
    rgb = data.coffee()[::4,::4]
    assert abs(lightness(rgb)-rgb2lab(rgb)[...,0]).max()<1e-3
    black,white = lightness(np.array([[[0,0,0], [255,255,255]]], np.uint8))[0]
    assert (black, white)==pytest.approx((0, 100), abs=1e-3)

def test_film_sees_what_its_weights_say():
    "A plate that sees blue alone: white for pure blue, black for pure red"
    red,blue = lightness(np.array([[[255,0,0], [0,0,255]]], np.uint8), (0,0,1))[0]
    assert (red, blue)==pytest.approx((0, 100), abs=1e-3)
    weights = np.stack([film_weights(np.random.default_rng(i)) for i in range(300)])
    assert weights.sum(1)==pytest.approx(1) and (weights>=0).all()
    share = lambda alpha: np.array(alpha)/sum(alpha)
    expected = 0.2*share((0.3,1.5,6)) + 0.3*share((0.5,6,4)) + 0.5*share((4,5,3))
    assert weights.mean(0)==pytest.approx(expected, abs=0.03)

def test_blur_is_gaussian():
    a = np.random.default_rng(0).random((32,40), np.float32)
    expected = gaussian_filter(a, 1.2, mode='mirror', radius=4)
    assert abs(aging._blur(a, 1.2)-expected).max()<1e-5

PINNED = [47.162, 51.179, 48.630, 46.590, 40.533, 43.037, 41.839, 43.066]
PINNED_WEIGHTS = [0.2943196, 0.4214891, 0.2841913]

def test_age_is_decided_by_the_seed():
    "Pinned: examples of a run must not change from one version to the next"
    L = lightness(data.coffee()[:256:4,:256:4])
    aged = np.stack([simulate_aging(L, np.random.default_rng(i)) for i in range(8)])
    assert aged.dtype==np.float32 and 0<=aged.min() and aged.max()<=100
    assert aged.mean((1,2))==pytest.approx(PINNED, abs=0.02)
    weights = film_weights(np.random.default_rng(0))
    assert weights==pytest.approx(PINNED_WEIGHTS, abs=1e-6)
