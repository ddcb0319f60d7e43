"""How much does low-resolution chroma cost, and which enlargement loses least?

    python benchmarks/chroma.py DIR [--size 128] [--factors 2 4 8]

Every photograph under DIR whose shorter side is at least 256 is cropped to its central 256×256 and
averaged to `--size` (at 128 the files' own 4:2:0 chroma subsampling no longer matters). Chroma is
averaged by each factor, enlarged again, put back on the true L, brought into sRGB and rounded to
8 bits. PSNR is over RGB, mean of the images; ΔE is the CIE76 distance of the enlarged chroma;
'edge' means the 5 % steepest pixels of the true chroma of each photograph.
"""
import argparse
from pathlib import Path
import numpy as np, torch, torch.nn.functional as F
from PIL import Image
from colorized.photo.lab import combine_to_rgb, rgb_to_lab
from colorized.photo.resampling import down_chroma, up_chroma

def load(path, size):
    try:
        im = Image.open(path).convert('RGB')
    except OSError:
        return
    w,h = im.size
    if min(w, h)<256: return
    im = im.crop(((w-256)//2, (h-256)//2, (w+256)//2, (h+256)//2))
    x = torch.from_numpy(np.array(im)).permute(2,0,1)[None].float()
    return down_chroma(x, size).round()/255

def steepness(ab):
    dx,dy = F.pad(ab.diff(dim=3), (0,1)),F.pad(ab.diff(dim=2), (0,0,0,1))
    return (dx**2+dy**2).sum(1).sqrt()

def guided_filter(small, L, L_small, eps=4.):
    box = lambda x: F.avg_pool2d(F.pad(x, (1,)*4, mode='reflect'), 3, 1)
    mean,mean_L = box(small),box(L_small)
    a = (box(small*L_small)-mean*mean_L)/(box(L_small**2)-mean_L**2+eps)
    up = lambda x: F.interpolate(box(x), size=L.shape[-2:], mode='bilinear')
    return up(a)*L + up(mean-a*mean_L)

def enlargements(small, L):
    size,L_small = L.shape[-2:],down_chroma(L, small.shape[-2:])
    grainy = L + 4*torch.randn(L.shape, generator=torch.Generator().manual_seed(0))
    return {'bilinear': F.interpolate(small, size=size, mode='bilinear'),
            'bicubic': F.interpolate(small, size=size, mode='bicubic'),
            'guided filter': guided_filter(small, L, L_small),
            'up_chroma(ab)': up_chroma(small, size),
            'up_chroma(ab, L)': up_chroma(small, size, L),
            'up_chroma(ab, grainy L)': up_chroma(small, size, grainy)}

def rows(x, factors):
    "(side of the chroma, enlargement, PSNR, ΔE, ΔE at edges) of photographs (N,3,H,W)"
    L,ab = rgb_to_lab(x).split([1,2], 1)
    steep = steepness(ab)
    edge = steep>steep.flatten(1).quantile(0.95, 1)[:,None,None]
    for factor in factors:
        for name,up in enlargements(down_chroma(ab, factor=factor), L).items():
            rgb = (combine_to_rgb(L, up)*255).round()/255
            psnr = -10*(rgb-x).pow(2).mean((1,2,3)).clamp(min=1e-10).log10().mean()
            de = (up-ab).norm(dim=1)
            yield x.shape[-1]//factor,name,psnr,de.mean(),de[edge].mean()

def main():
    p = argparse.ArgumentParser()
    p.add_argument('folder', type=Path)
    p.add_argument('--size', type=int, default=128)
    p.add_argument('--factors', type=int, nargs='+', default=[4,8,16])
    args = p.parse_args()
    torch.set_num_threads(1)
    files = [f for f in sorted(args.folder.rglob('*')) if f.is_file()]
    x = torch.cat([x for f in files if (x := load(f, args.size)) is not None])
    print(f"n = {len(x)} photographs at {args.size} px\n")
    print("| chroma at | enlarged by | PSNR | ΔE | ΔE at edges |\n|---|---|---|---|---|")
    for side,name,psnr,de,at_edges in rows(x, args.factors):
        print(f"| {side}×{side} | `{name}` | {psnr:.1f} | {de:.2f} | {at_edges:.2f} |", flush=True)

if __name__ == '__main__': main()
