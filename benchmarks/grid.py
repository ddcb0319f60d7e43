"""How coarse may the grid of the chroma be? `python benchmarks/grid.py DIR`

The true chroma of photographs, averaged over squares and spread again along the lightness
(`up_chroma`), as if a network had made no mistake. It bounds what a finer grid, or a network
between two grids, could gain."""
import argparse
import torch, torch.nn.functional as F
from colorized.evaluation.folders import list_photos, load_crop
from colorized.evaluation.report import Evaluator
from colorized.photo.lab import rgb_to_lab
from shared import render

MEASURES = ['kid', 'two_sample', 'top1_agreement', 'delta_e2000', 'psnr']

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder')
    p.add_argument('--n', type=int, default=250)
    p.add_argument('--threads', type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    files = list(list_photos(args.folder).values())
    files = files[::max(1, len(files)//args.n)][:args.n]
    true = torch.stack([load_crop(f, 256)[0] for f in files])
    evaluator = Evaluator(true, 'lite1')
    L,ab = rgb_to_lab(true).split((1,2), 1)
    print('grid', *MEASURES)
    for side in (64, 32, 16):
        coarse = F.avg_pool2d(ab, 256//side)
        figures = evaluator.summarize(render(L, coarse))
        print(f'{side}×{side}', *[f'{figures[m].value:.3g}' for m in MEASURES], flush=True)

if __name__=='__main__': main()
