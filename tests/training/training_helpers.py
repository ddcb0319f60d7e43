"Photographs, networks and runs that are small enough to train in a test"
from pathlib import Path
import numpy as np, torch
from PIL import Image
from skimage import data as samples
from colorized.model.unet import ColorNet, UNetConfig
from colorized.model.checkpoint import ModelConfig
from colorized.photo.lab import colorfulness
from colorized.training.examples import Recipe
from colorized.training.train import train

torch.set_num_threads(1)

TINY = ModelConfig(net=UNetConfig(widths=(32,64,64)), chroma_scale=20.)
SMALL_NET = UNetConfig(widths=(32,32), attention=(False,True), groups=8, encoder=None)
NO_ENCODER = ModelConfig(net=SMALL_NET, chroma_scale=20.)
PLAIN = Recipe(size=64, archival=0., no_hints=1.)

def crops(folder, n, side=128):
    "`n` crops of the sample photographs of scikit-image and scikit-learn, as files"
    from sklearn.datasets import load_sample_image # slow to load
    photos = [samples.chelsea(), samples.coffee(), samples.astronaut(), samples.rocket(),
              load_sample_image('china.jpg'), load_sample_image('flower.jpg')]
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(n):
        crop = np.zeros((side,side,3), np.uint8)
        while _color_of(crop)<15: # `PhotoFolder` leaves gray ones out
            p = photos[i%len(photos)]
            y,x = rng.integers(0, p.shape[0]-side),rng.integers(0, p.shape[1]-side)
            crop = p[y:y+side,x:x+side]
        Image.fromarray(crop).save(folder/f'{i:03}.png')
    return folder

def _color_of(rgb):
    return colorfulness(torch.from_numpy(rgb.copy()).permute(2,0,1)[None])

def pictures(n):
    "Noise, no two alike"
    draw = lambda i: np.random.default_rng(i).integers(0, 256, (64,64,3), np.uint8)
    return [Image.fromarray(draw(i)) for i in range(n)]

# What all runs on pictures share
BRIEF = dict(config=NO_ENCODER, num_workers=0, bar=False, valid=pictures(2), recipe=PLAIN,
             bf16=False)

def go(data, out, **kwargs):
    "A run with a tiny network, validated with what it learns from"
    defaults = dict(valid=data, config=TINY, recipe=PLAIN, num_workers=0, bar=False, bf16=False)
    return train(data, out, **{**defaults, **kwargs})

# The options of the command that make its network as small
TINY_OPTIONS = ['--set', 'widths=32,32', 'attention=0,1', 'groups=8', 'encoder=none', 'bf16=0']

def random_net(config, seed=0):
    "A network whose answers are not 0, as those of one that was never trained are"
    torch.manual_seed(seed)
    net = ColorNet(config.net).eval()
    for p in net.parameters():
        if not p.any(): torch.nn.init.normal_(p, std=0.05)
    return net

def state_of(run):
    "The state file of a run"
    return torch.load(Path(run)/'state.pt', weights_only=True)

def same_weights(a, b):
    "Do two state dicts hold the same to the last bit?"
    return a.keys()==b.keys() and all(torch.equal(a[k], b[k]) for k in a)
