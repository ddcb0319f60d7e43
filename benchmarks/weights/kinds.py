"""How many photographs of a set show each of the 1,000 kinds of things that ImageNet names?

    python -m benchmarks.weights.kinds SET OUT.csv [--first local] [--threads 1]
    python -m benchmarks.weights.kinds SET OUT.csv --classifier lite0 --save

SET comes from `photographs.py`. EfficientNet-Lite1 names what it sees in the central square of each
photograph, in color. `--save` writes the kinds to `SET/kinds.npy`, for `guesses.py --rare`; Lite0,
the network's own encoder, is no judge of it. OUT gets a line for each kind: how many photographs of
the sources `--first` show it (`before`), and how many of all sources (`after`). A classifier names
something even where none of its kinds is seen (people, rooms, landscapes). The columns
`…_half_sure` count only answers with a probability of 0.5 or more.

A run of 144,000 photographs takes an hour of a core that does other work as well.
"""
import argparse, csv
from pathlib import Path
import numpy as np
import torch
from PIL import ImageOps
from torchvision.models import ResNet18_Weights
from torchvision.transforms.functional import pil_to_tensor
from colorized.evaluation.features import LiteExtractor
from .photographs import Pack

SIDE = 224

class Squares:
    "The central squares of a `Pack`, (3,SIDE,SIDE) uint8 each"
    def __init__(self, pack): self.pack = pack
    def __len__(self): return len(self.pack)
    def __getitem__(self, i): return pil_to_tensor(ImageOps.fit(self.pack[i], (SIDE,SIDE)))

def classify(pack, name='lite1', bs=32, workers=1):
    "Kind and its probability for each picture, (N,) and (N,)"
    extractor = LiteExtractor(name).to(memory_format=torch.channels_last)
    torch._inductor.config.freezing = True
    net = torch.compile(lambda x: extractor.logits(extractor(x)))
    kinds,sure = [],[]
    loader = torch.utils.data.DataLoader(Squares(pack), bs, num_workers=workers)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        for n,x in enumerate(loader):
            p,k = net(x.contiguous(memory_format=torch.channels_last)).float().softmax(1).max(1)
            kinds.append(k)
            sure.append(p)
            if n%100==0: print(n*bs, 'of', len(pack), flush=True)
    return torch.cat(kinds).numpy(),torch.cat(sure).numpy()

def table(kinds, sure, first):
    "A row for each kind; `first` says which pictures were there before"
    def count(*which): return np.bincount(kinds[np.logical_and.reduce(which)], minlength=1000)
    every,half = np.ones(len(kinds), bool),sure>=0.5
    columns = dict(before=count(first), after=count(every),
                   before_half_sure=count(first, half), after_half_sure=count(half))
    names = ResNet18_Weights.IMAGENET1K_V1.meta['categories']
    return [dict(kind=i, name=names[i], **{k: int(v[i]) for k,v in columns.items()})
            for i in range(1000)]

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('set', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--first', nargs='*', default=['local'], help='sources that were there before')
    p.add_argument('--classifier', default='lite1', choices=['lite0', 'lite1'])
    p.add_argument('--save', action='store_true', help='write SET/kinds.npy')
    p.add_argument('--threads', type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    pack = Pack(args.set)
    kinds,sure = classify(pack, args.classifier)
    if args.save: np.save(args.set/'kinds.npy', kinds)
    rows = table(kinds, sure, np.isin(pack.sources, args.first))
    with args.out.open('w', newline='') as f:
        out = csv.DictWriter(f, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    for k in 'before','after','before_half_sure','after_half_sure':
        n = np.array([r[k] for r in rows])
        print(k, f'total {n.sum()}, median {np.median(n):.0f}, none {(n==0).sum()}, '
                 f'below 10 {(n<10).sum()}, below 50 {(n<50).sum()}')

if __name__=='__main__': main()
