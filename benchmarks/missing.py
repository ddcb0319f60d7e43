"""What is missing? Colorings with one property of the true colors and everything else their own,
shown to a recognizer.

`python benchmarks/missing.py FOLDER CLASSES.json`: photographs and their ImageNet classes as
`further.py` writes them, central squares, the network at 256 px, seed 0, 1, … All are judged on the
network's own grid of chroma, the truth as well."""
import argparse
import torch, torch.nn.functional as F
from shared import load_squares, render

def borrowing(ab, true):
    "What is true of it, and chroma (N,2,h,w)"
    pool,size = F.adaptive_avg_pool2d,lambda o: o.norm(dim=1, keepdim=True)
    spread = lambda o: F.interpolate(o, ab.shape[2:], mode='bilinear', align_corners=False)
    def stronger(n):
        ratio = pool(size(true), n)/pool(size(ab), n).clamp(min=0.5)
        return ab*spread(ratio).clamp(max=6)
    hue = lambda o: o/size(o).clamp(min=0.5)
    yield 'gray', 0*ab
    yield 'nothing: as colorized makes it', ab
    yield 'the mean', ab + (true-ab).mean((2,3), keepdim=True)
    yield 'the means of 8×8 parts', ab + spread(pool(true-ab, 8))
    for n in (1, 4, 16):
        of = f"{n}×{n} parts" if n>1 else "the whole"
        yield f'the mean strength of {of}', stronger(n)
    yield 'the strength everywhere', hue(ab)*size(true)
    yield 'the hue everywhere', hue(true)*size(ab)
    yield 'everything', true

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('folder')
    p.add_argument('classes')
    p.add_argument('--model')
    p.add_argument('--extractor', default='lite2')
    p.add_argument('--n', type=int, help='only the first so many')
    args = p.parse_args()
    from colorized.evaluation.distances import bootstrap, kid
    from colorized.evaluation.features import extract_features, get_extractor
    from colorized.evaluation.measurement import top1_hits
    from colorized.inference.colorizer import Colorizer
    from colorized.photo.lab import rgb_to_L, rgb_to_lab
    from colorized.photo.resampling import down_chroma
    torch.set_num_threads(1)
    rgb,labels = load_squares(args.folder, args.classes, args.n)
    c,net = Colorizer.from_pretrained(args.model, 'cpu'),get_extractor(args.extractor)
    L = rgb_to_L(rgb)
    ab = torch.cat([c.sample(c.condition(l[None]), [i]) for i,l in enumerate(L)])
    true = torch.cat([down_chroma(rgb_to_lab(o[None])[:,1:], ab.shape[2:]) for o in rgb])
    real,gray = extract_features(rgb, net),None
    print(f'{len(rgb)} photographs, {args.extractor}, model {c.sha256[:12]}\n')
    print('| true of it | KID × 1000 | top-1 | over gray |\n|---|---|---|---|')
    for what,o in borrowing(ab, true):
        features = extract_features(render(L, o), net)
        hits = top1_hits(net.logits(features), labels)
        gray = hits if gray is None else gray
        over = hits-gray
        interval = ', '.join(f'{v:+.3f}' for v in bootstrap(over))
        print(f'| {what} | {1000*kid(real, features, paired=True):.3g} | {hits.mean():.3f} '
              f'| {over.mean():+.3f} [{interval}] |', flush=True)

if __name__=='__main__': main()
