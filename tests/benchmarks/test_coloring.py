"How benchmarks choose and color photographs"
import numpy as np, pytest, torch
from PIL import Image
from benchmarks.support.coloring import (Painter, evenly, interval, left_gray,
                                         photographs, render)
from benchmarks.support.results import Missing
from benchmarks.support.samples import color_crops
from benchmarks.weights.mean import mean
from colorized.evaluation.folders import load_crop
from colorized.inference.colorizer import Colorizer
from colorized.model.checkpoint import load_checkpoint, save_checkpoint
from colorized.photo.lab import rgb_to_L

def test_some_of_a_list_are_evenly_spread():
    assert evenly(range(10), 3)==[0, 3, 6] and evenly(range(3), 10)==evenly(range(3))==[0, 1, 2]

def test_photographs_that_are_large_enough(tmp_path):
    for i in range(6): Image.new('RGB', (40+10*i, 100)).save(tmp_path/f'{i}.png')
    assert [*photographs(tmp_path, 2)]==['0', '3']
    assert [*photographs(tmp_path, least=70)]==['3', '4', '5']
    for folder,least in ((None, 1), (tmp_path/'none', 1), (tmp_path, 90)):
        with pytest.raises(Missing): photographs(folder, least=least)

@pytest.fixture(scope='module')
def three(tmp_path_factory):
    return sorted(color_crops(tmp_path_factory.mktemp('three'), 3, 128).iterdir())

def test_what_is_left_gray_keeps_its_lightness(three):
    rgb = left_gray(three)
    assert rgb.shape==(3,3,256,256) and (rgb==rgb[:,:1]).all()
    true = torch.stack([load_crop(o)[0] for o in three])
    assert (rgb_to_L(rgb)-rgb_to_L(true)).abs().max()<0.5

def test_each_photograph_is_drawn_as_if_alone_with_its_number_as_seed(three, model):
    "and settings of one call do not stay"
    c = Colorizer.from_pretrained(model, 'cpu')
    paint = Painter(c, three, 64)
    plain,strong = paint(steps=2),paint(steps=2, gain=3.)
    assert not torch.equal(plain, strong) and torch.equal(plain, paint(steps=2))
    assert torch.equal(strong, Painter(c, three, '64')(steps=2, gain=3.))
    L = rgb_to_L(load_crop(three[2], 64)[0][None])
    ab = c.sample(c.condition(L), [2], steps=2)
    assert torch.equal(render(paint.L[2:], ab), plain[2:])
    assert not torch.equal(paint(64, steps=2), paint(96, steps=2))

def test_old_film_is_seen_and_not_kept(three, model):
    c = Colorizer.from_pretrained(model, 'cpu')
    clean,aged = (Painter(c, three, 64, aged=o)(steps=1) for o in (False, True))
    assert not torch.equal(clean, aged)
    assert (rgb_to_L(clean)-rgb_to_L(aged)).abs().mean()<1

def test_few_have_no_interval():
    assert interval(np.ones(4))==(None, None) and interval(np.ones(5))==(1, 1)

def test_the_mean_of_weights(model, tmp_path):
    net,config,_ = load_checkpoint(model)
    with torch.no_grad():
        for p in net.parameters(): p.mul_(3)
    save_checkpoint(tmp_path/'b.safetensors', net, config)
    made,_ = mean([model, tmp_path/'b.safetensors'])
    for a,b in zip(load_checkpoint(model)[0].parameters(), made.parameters()):
        assert torch.allclose(2*a, b, atol=1e-3)
