"""Old photographs whose colors nobody knows, for `adversarial --old`

A discriminator can only be taught with true colors, and those are of modern photographs; what it
asks for is stains on old ones. So on old photographs the network is held to what it drew before,
or to what another one draws.
"""
import numpy as np
import torch
from PIL import Image
from colorized.photo.lab import rgb_to_lab

class OldPhotographs:
    "Random squares of the photographs of a folder, such as `learn` of `historical.py`"
    def __init__(self, folder, side, seed):
        self.files,self.side = sorted(folder.glob('*.png')),side
        if not self.files: raise FileNotFoundError(f"--old {folder} holds no PNG files")
        self.rng = np.random.default_rng(seed)
    def one(self):
        im = Image.open(self.files[self.rng.integers(len(self.files))]).convert('RGB')
        most = min(im.size)
        side = int(self.rng.integers(min(self.side, most), most+1))
        x,y = (int(self.rng.integers(o-side+1)) for o in im.size)
        square = (self.side, self.side)
        im = im.crop((x, y, x+side, y+side)).resize(square, Image.LANCZOS)
        if self.rng.integers(2): im = im.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return rgb_to_lab(torch.from_numpy(np.array(im)).permute(2,0,1)[None])[:,:1]
    def lightness(self, n):
        "(n,1,side,side)"
        return torch.cat([self.one() for _ in range(n)])

def deviation(game, L):
    """How far a network is from what `game.drew` says, at lightness `L` (N,1,H,W): the mean
    square at a random step of its own way, and in the first guess of one in N"""
    features = game.encode(L)
    other = features if game.encode_drew is game.encode else game.encode_drew(L)
    k = int(torch.randint(len(game.chain), (1,)))
    x_t,t = game.walk(L, features, k)
    last = torch.full((1,), int(game.chain.timesteps[-1]))
    def says(net, x_t, t, features):
        seen = {k: o[:len(t)] for k,o in features.items()}
        return net(x_t, t, game.condition(net, L[:len(t)], seen)).float()
    def apart(*state):
        with torch.no_grad(): want = says(game.drew, *state, other)
        return (says(game.net, *state, features)-want).square().mean()
    return apart(x_t, t) + apart(torch.zeros_like(x_t[:1]), last)/len(L)
