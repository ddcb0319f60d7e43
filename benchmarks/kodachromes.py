"""Old photographs whose colors are known: 1,615 color slides of 1939 to 1944, from the USA.

    python benchmarks/kodachromes.py gather CLONE OUT
    python benchmarks/kodachromes.py measure OUT MODEL[:GAIN[:TEMPERATURE[:RED_SHRINKAGE]]] …
        [--every 6] [--apart]
    python benchmarks/kodachromes.py hues OUT MODEL [--every 6] [--apart]

The photographers of the Farm Security Administration and the Office of War Information took them;
the Library of Congress knows of no restrictions. distant-viewing/hdpy holds copies of 150 px with
the frames of the slides; CLONE is a clone of it. OUT gets each without a tenth of its sides.

`measure` colors their lightness at 160×128 px, seed i for the i-th, and compares with the true
chroma: its mean, its strength, and the distance on cells of 4×4 of its grid, of the coloring and of
the first guess without its gain. Differences to the first MODEL, photograph by photograph, have
95 % bootstrap intervals. What is not given is the checkpoint's own. The
slides come in the order of their numbers, pictures of the same day side by side; with `--apart`
every other block of 50 is left out, so that a network may learn from those.

`hues` tells for each hue that was drawn, with a chroma of 3 to 30, how much of it is there in truth
(beta, equation (1) of nbs/model/04b_reds.ipynb), with 95 % intervals from a bootstrap over slides.
Without `--apart` it looks at the blocks that may be learned from.
"""
import argparse
import io
from pathlib import Path
import numpy as np
import torch, torch.nn.functional as F
from PIL import Image
from clones import PICTURE, blobs, listed, located
from colorized.evaluation.distances import bootstrap
from colorized.inference.colorizer import Colorizer
from colorized.photo.lab import rgb_to_lab

COMMIT,PATHS = 'f89833e9',r'^data/fsac/thm/'
FRAME = 0.1 # share of the sides that the frame takes, at most
BLOCK = 50

class Slides:
    "Of the slides in a folder every other block, so that the rest can be judged by"
    def __init__(self, folder):
        self.files = [o for i,o in enumerate(sorted(folder.glob('*.png'))) if i//BLOCK%2==0]
        if not self.files: raise FileNotFoundError(f"--also {folder} holds no PNG files")
    def __len__(self): return len(self.files)
    def __getitem__(self, i): return Image.open(self.files[i]).convert('RGB')

def gather(args):
    args.out.mkdir(parents=True, exist_ok=True)
    clone = located(args.clone)
    for path,data in blobs(clone, listed(clone, COMMIT, PATHS, PICTURE)):
        im = Image.open(io.BytesIO(data)).convert('RGB')
        w,h = im.size
        box = [int(share*side) for share in (FRAME, 1-FRAME) for side in (w, h)]
        im.crop(box).save(args.out/f'{Path(path).stem}.png')

def photograph(path):
    "(3,H,W) CIELAB"
    im = Image.open(path).convert('RGB')
    im = im.resize((160,128) if im.width>im.height else (128,160), Image.LANCZOS)
    return rgb_to_lab(torch.from_numpy(np.array(im)).permute(2,0,1)[None])[0]

def distance(ab, true):
    "Root mean square of the chroma on cells of 4×4 of its grid"
    return F.avg_pool2d(ab-true, 4).pow(2).sum(0).mean().sqrt().item()

def colored(c, lab, seed, changes):
    "Mean a, mean b, mean chroma, distance, distance of the first guess"
    settings = c.settings.changed(**changes)
    cond = c.prepare(c.condition(lab[None,:1]), settings)
    ab = c.sample(cond, [seed], **changes)[0]
    guess = cond.first_guess[0].float().cpu()*c.config.chroma_scale/settings.gain
    true = F.interpolate(lab[None,1:], ab.shape[1:], mode='area')[0]
    return [*ab.mean((1,2)).tolist(), ab.norm(dim=0).mean().item(), distance(ab, true),
            distance(guess, true)]

def measure(args):
    files = sorted(args.out.glob('*.png'))
    if args.apart: files = [o for i,o in enumerate(files) if i//BLOCK%2]
    labs = [photograph(o) for o in files[::args.every]]
    mean = torch.stack([o[1:].mean((1,2)) for o in labs]).mean(0)
    chroma = torch.stack([o[1:].norm(dim=0).mean() for o in labs]).mean()
    print(f'true, n={len(labs)}: a {mean[0]:.2f}, b {mean[1]:.2f}, chroma {chroma:.2f}', flush=True)
    first = None
    for spec in args.models:
        model,*values = spec.split(':')
        changes = {k: float(v) for k,v in zip(('gain', 'temperature', 'red_shrinkage'), values)}
        c = Colorizer.from_pretrained(None if model=='default' else model, device='cpu')
        rows = np.array([colored(c, o, i, changes) for i,o in enumerate(labs)])
        a,b,chroma,drawn,guess = rows.mean(0)
        line = f'{spec}: a {a:.2f}, b {b:.2f}, chroma {chroma:.2f}, distance {drawn:.2f}'
        print(f'{line}, of the first guess {guess:.2f}', end='')
        for k in (3, 4) if first is not None else ():
            d = rows[:,k]-first[:,k]
            low,high = bootstrap(d)
            print(f', {d.mean():+.2f} [{low:+.2f}, {high:+.2f}]', end='')
        print(flush=True)
        first = rows if first is None else first

HUE = 30 # degrees of an interval

def by_hue(ab, true):
    "(3,12): of each interval of hue the number of places, what was drawn and what of it is true"
    chroma,hue = ab.norm(dim=0),torch.rad2deg(torch.atan2(ab[1], ab[0]))%360
    true = (true*ab).sum(0)/chroma.clamp(min=1e-6) # along what was drawn
    weak = (chroma>=3) & (chroma<30)
    which = F.one_hot((hue//HUE).long(), 360//HUE)*weak[...,None]
    kinds = torch.ones_like(hue),chroma,true
    return torch.stack([(which*o[...,None]).sum((0, 1)) for o in kinds])

def hues(args):
    files = sorted(args.out.glob('*.png'))
    files = [o for i,o in enumerate(files) if i//BLOCK%2==args.apart][::args.every]
    c = Colorizer.from_pretrained(None if args.model=='default' else args.model, device='cpu')
    rows = []
    for i,file in enumerate(files):
        lab = photograph(file)
        ab = c.sample(c.condition(lab[None,:1]), [i])[0]
        rows.append(by_hue(ab, F.interpolate(lab[None,1:], ab.shape[1:], mode='area')[0]))
    n,drawn,true = torch.stack(rows).permute(1, 0, 2).numpy()
    rng = np.random.default_rng(0)
    again = rng.integers(len(files), size=(2000, len(files)))
    beta = lambda o: true[o].sum(-2)/np.maximum(drawn[o].sum(-2), 1e-6)
    low,high = np.quantile(beta(again), (0.025, 0.975), axis=0)
    print(f'n={len(files)}')
    for k,b in enumerate(beta(slice(None))):
        share = n[:,k].sum()/n.sum()
        print(f'{k*HUE}: {share:.3f} of these places, {b:.2f} [{low[k]:.2f}, {high[k]:.2f}]')

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(required=True)
    c = commands.add_parser('gather')
    c.add_argument('clone', type=Path)
    c.add_argument('out', type=Path)
    c.set_defaults(do=gather)
    c = commands.add_parser('measure')
    c.add_argument('out', type=Path)
    c.add_argument('models', nargs='+', metavar='MODEL')
    c.add_argument('--every', type=int, default=6)
    c.add_argument('--apart', action='store_true', help='only the blocks of odd number')
    c.set_defaults(do=measure)
    c = commands.add_parser('hues')
    c.add_argument('out', type=Path)
    c.add_argument('model', metavar='MODEL')
    c.add_argument('--every', type=int, default=6)
    c.add_argument('--apart', action='store_true', help='the blocks of odd number instead')
    c.set_defaults(do=hues)
    args = p.parse_args()
    args.do(args)

if __name__=='__main__': main()
