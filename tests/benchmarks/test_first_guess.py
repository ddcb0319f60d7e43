"Three measures of first guesses that are known"
import numpy as np, pytest, torch
import torch.nn.functional as F
from PIL import Image
from skimage import data as samples
from benchmarks.support import first_guess
from colorized.evaluation.folders import load_crop
from colorized.inference.colorizer import WEIGHTS
from colorized.model.checkpoint import load_checkpoint
from colorized.model.sampling import ChromaSampler
from colorized.photo.lab import rgb_to_L, rgb_to_lab

@pytest.fixture
def files(tmp_path):
    for name in 'chelsea', 'coffee', 'astronaut':
        Image.fromarray(getattr(samples, name)()).save(tmp_path/f'{name}.png')
    return sorted(tmp_path.iterdir())

def look(files, monkeypatch, change):
    "What is measured of a network that knows the truth, but changes it"
    def guess(net, config, rgb): return change(rgb_to_lab(F.avg_pool2d(rgb, 4))[:,1:])
    monkeypatch.setattr(first_guess, 'guess', guess)
    return first_guess.look(None, None, files, 64, 4)

def quarter_turn(ab): return torch.stack([-ab[:,1], ab[:,0]], 1)

def test_the_truth_at_any_strength(files, monkeypatch):
    true = look(files, monkeypatch, lambda ab: ab)
    assert np.allclose(first_guess.summarize(true), [0, 1, 0], atol=1e-3)
    weak = look(files, monkeypatch, lambda ab: ab/2)
    distance,hue,unexplained = first_guess.summarize(weak)
    assert hue==1 and unexplained==pytest.approx(0, abs=1e-5)
    assert distance==pytest.approx(np.sqrt(true[:,4].mean())/2)
    assert weak[:,5]==pytest.approx(true[:,5]/2)

def test_another_hue(files, monkeypatch):
    true,turned = (look(files, monkeypatch, o) for o in (lambda ab: ab, quarter_turn))
    distance,hue,unexplained = first_guess.summarize(turned)
    assert hue==0 and unexplained==pytest.approx(1, abs=1e-6)
    assert distance==pytest.approx(np.sqrt(2*true[:,4].mean()))
    mixed = look(files, monkeypatch, lambda ab: ab+quarter_turn(ab)) # 45 degrees
    assert first_guess.summarize(mixed)[2]==pytest.approx(0.5)
    found = first_guess.differences(turned, true)
    assert np.allclose(found[1:,0], [-1, 1], atol=1e-3)
    assert (found[:,1]<=found[:,0]).all() and (found[:,0]<=found[:,2]).all()

def test_the_guess_is_the_one_that_the_sampler_begins_with(files):
    net,config,_ = load_checkpoint(WEIGHTS/'default.safetensors')
    rgb = load_crop(files[0], 128)[0][None]/255
    sampler = ChromaSampler(net, config, device='cpu')
    cond = sampler.prepare(sampler.condition(rgb_to_L(rgb)))
    ours = first_guess.guess(net, config, rgb)
    sampled = cond.first_guess*config.chroma_scale
    assert ours.norm(dim=1).mean()>3 and (ours-sampled).norm(dim=1).max()<1
