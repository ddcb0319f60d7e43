"""How restless the colors of photographs without truth are: stains, fringes, specks.

    python benchmarks/variation.py FOLDER [--model A.safetensors B.safetensors …] [--set gain=1.0 …]

Each photograph of FOLDER is colored with the defaults, seed 0, at its default size. Printed for
each model: the total variation of the chroma (mean distance of a cell from its right neighbor plus
that from its lower one, CIELAB), its mean, and the first divided by the second, with the difference
to the first model, photograph by photograph, and its 95 % interval. KID on modern photographs does
not see what viewers of old ones call stains; this does (History of the weights).
"""
import argparse
from pathlib import Path
import numpy as np
import torch
from colorized.evaluation.folders import list_photos
from colorized.inference.colorizer import Colorizer

def variation(ab):
    "(total variation, mean) of (2,h,w) chroma"
    across = (ab[:,:-1,1:]-ab[:,:-1,:-1]).norm(dim=0)
    down = (ab[:,1:,:-1]-ab[:,:-1,:-1]).norm(dim=0)
    return float(across.mean()+down.mean()),float(ab.norm(dim=0).mean())

def ratio(rows): return rows[:,0].sum()/rows[:,1].sum()

def difference(rows, first):
    "Of the ratios, with its interval"
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(rows), (2000, len(rows)))
    low,high = np.quantile([ratio(rows[p])-ratio(first[p]) for p in picks], [0.025,0.975])
    return f'{ratio(rows)-ratio(first):+.3f} [{low:+.3f}, {high:+.3f}]'

def number(text):
    name,_,value = text.partition('=')
    return name,int(value) if value.isdigit() else float(value)

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('folder', type=Path)
    p.add_argument('--model', nargs='+', default=['default'])
    p.add_argument('--set', dest='settings', nargs='*', type=number, default=[])
    args = p.parse_args()
    torch.set_num_threads(1)
    files,first = [*list_photos(args.folder).values()],None
    print('| model | variation | mean chroma | ratio | difference |\n|---|---:|---:|---:|---:|')
    for name in args.model:
        colorizer = Colorizer.from_pretrained(name, 'cpu', dict(args.settings))
        rows = np.array([variation(colorizer.colorize(f).ab[0]) for f in files])
        if first is None: first = rows
        over = difference(rows, first) if rows is not first else ''
        tv,mean = rows.mean(0)
        print(f'| {name} | {tv:.2f} | {mean:.1f} | {ratio(rows):.3f} | {over} |', flush=True)

if __name__=='__main__': main()
