"""How much of the true chroma colorings leave unexplained, whatever their strength.

    python benchmarks/unexplained.py TRUE COLORED [COLORED …]

The folders hold pictures of the same names and shapes. Chroma (CIELAB) is averaged over 64×64
cells of the central square. A folder's colorings a are multiplied by the one number that suits
them best. Of the truth b they leave 1 - (Σab)²/(Σa²Σb²), the sums over all cells of all pictures:
0 for true colors of any strength, 1 for colors that have nothing to do with the truth. So a timid
system is not mistaken for an ignorant one. *best times* is that number: below 1 the colors are
stronger than it pays to be in squared error. *chroma* is their mean strength.
Differences are to the first folder, with 95 % bootstrap intervals over pictures."""
import argparse
from pathlib import Path
import numpy as np
import torch.nn.functional as F
from colorized.evaluation.folders import list_photos, load_crop
from colorized.photo.lab import rgb_to_lab

SIDE, CELLS, DRAWS = 256, 64, 2000

def chroma(path):
    "(2,64,64) CIELAB"
    rgb = load_crop(path, SIDE)[0][None]/255
    return F.adaptive_avg_pool2d(rgb_to_lab(rgb)[:,1:], CELLS)[0]

class Products:
    "Σab, Σa² and Σb² of each picture"
    def __init__(self, true, colored):
        theirs,ours = list_photos(colored),list_photos(true)
        if set(theirs)!=set(ours):
            odd = sorted(set(theirs)^set(ours))[0]
            raise ValueError(f'{odd} is in one of {true} and {colored} only')
        pairs = [(chroma(theirs[o]), chroma(ours[o])) for o in sorted(ours)]
        self.chroma,self.true_chroma = [
            np.mean([o[i].norm(dim=0).mean() for o in pairs]) for i in (0, 1)]
        sums = [((a*b).sum(), a.square().sum(), b.square().sum()) for a,b in pairs]
        self.ab,self.aa,self.bb = np.array(sums, np.float64).T
    def unexplained(self, rows=slice(None)):
        return 1-self.ab[rows].sum()**2/(self.aa[rows].sum()*self.bb[rows].sum())
    def best(self): return self.ab.sum()/self.aa.sum()

def difference(one, other):
    "one - other, and its interval"
    rng,n = np.random.default_rng(0),len(one.ab)
    apart = lambda rows: one.unexplained(rows)-other.unexplained(rows)
    drawn = [apart(rng.integers(0, n, n)) for _ in range(DRAWS)]
    return apart(slice(None)),*np.quantile(drawn, [0.025, 0.975])

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('true', type=Path)
    p.add_argument('colored', type=Path, nargs='+')
    args = p.parse_args()
    found = {o: Products(args.true, o) for o in args.colored}
    first = found[args.colored[0]]
    print(f'{len(first.ab)} pictures, true chroma {first.true_chroma:.1f}')
    for folder,o in found.items():
        text = (f'{folder.name}: unexplained {o.unexplained():.3f}, best times {o.best():.2f}, '
                f'chroma {o.chroma:.1f}')
        if o is not first:
            text += ', difference {:+.3f} [{:+.3f}, {:+.3f}]'.format(*difference(o, first))
        print(text)

if __name__=='__main__': main()
