"""Photographs of 1905 to 1915 whose colors are known: the plates of Sergei Prokudin-Gorskii.

    python benchmarks/plates.py gather CLONES OUT
    python benchmarks/plates.py measure OUT [--model default]

He took each picture three times on black-and-white glass: through a blue, a green and a red filter.
The Library of Congress has scanned the plates and knows of no restrictions on them. Exercises in
aligning the three have put small copies (about 400 px wide) into public repositories. CLONES holds
bare git clones of these, named owner+name. OUT gets one color picture for each plate; pictures of
the same plate are taken once. Green stays where it is, the others are moved onto it where edges
agree best, and each is stretched from its 0.5th to its 99.5th percentile. So hues are the
photographer's own, the balance of white is a guess.

`measure` colors three grays of each picture with the defaults of a checkpoint: its *lightness*,
about what panchromatic film would have seen; the *green* plate, as orthochromatic emulsions saw the
world without red; the *blue* plate, as all did before about 1880. The chroma is compared with the
true one on cells of 32 px.
"""
import argparse
import io
from pathlib import Path
import numpy as np
import torch, torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.feature import match_template
from skimage.filters import sobel
from colorized.inference.colorizer import Colorizer
from colorized.photo.lab import lab_to_rgb, rgb_to_L, rgb_to_lab
from clones import PICTURE, blobs, git_dir, listed
from first_guess import COLORFUL, NEAR, differences
from further import difference_hash, is_near

SOURCES = ( # repository, commit, which paths
    ('09eesx/prokudin-gorskii-image', '436f0993', r'^data_e/'),
    ('Abinesh-18/Colorizing-the-Prokudin-Gorskii-photo-collection', 'ae04b901', r'^Images/'),
    ('ChengjiePL/Prokudin-Gorskii-Colorization', 'ad09c5fd', r'^(?:dataset|prueba)/'),
    ('Terminou/Colorizing-the-Prokudin-Gorskii-photo-collection', 'f3b4a824', r'^inputImages/'),
    ('erickgualpa/prokudin-gorskii-colour', '8cbc299f', r'^img/'),
    ('kevguy/Prokudin-Gorskii', 'cedf73ab', r''),
    ('klaseskilson/Prokudin-Gorskii-colorization', '3344805e', r'^images/'),
    ('laplab/prokudin-gorsky', 'a8e3df8d', r'^data/small/'),
    ('morgan-nanez/selected_projects', 'c6516290', r'^cs194_proj1/Data/'),
    ('msuatgunerli/Prokudin-Gorskii_Colorizer', 'ae5983cc', r''))
LEAST = 0.6   # correlation of the edges below which two plates are not aligned
REACH = 0.08  # how far they may lie apart, and what borders take: shares of the width
CELL = 32

def plates(data):
    "Blue, green and red as (H,W) in 0..1, or None: the picture is none of a whole plate"
    im = Image.open(io.BytesIO(data))
    w,h = im.size
    if not 2.2<h/w<3.4: return None
    rgb = np.asarray(im.convert('RGB')).astype(np.float32)/255
    if np.ptp(rgb, axis=2).mean()>0.05: return None # in color
    third = h//3
    return [rgb[k*third:(k+1)*third].mean(2) for k in range(3)]

def edges(plate): return sobel(gaussian_filter(plate, 1))

def onto(still, moving):
    "`moving` where its edges meet those of `still`, and how well they do"
    m = round(2*REACH*still.shape[1]) # of the moving one only the middle, without its borders
    fit = match_template(edges(still), edges(moving)[m:-m,m:-m])
    reach = round(REACH*still.shape[1])
    fit = fit[m-reach:m+reach+1,m-reach:m+reach+1]
    best = np.unravel_index(fit.argmax(), fit.shape)
    return np.roll(moving, (best[0]-reach, best[1]-reach), (0,1)),fit.max()

def picture(blue, green, red):
    "(PIL.Image, worst correlation)"
    (blue,b),(red,r) = onto(green, blue),onto(green, red)
    m = round((REACH+0.01)*green.shape[1])
    rgb = np.stack([red, green, blue], 2)[m:-m,m:-m]
    low,high = np.percentile(rgb, (0.5,99.5), axis=(0,1))
    stretched = 255*(rgb-low)/np.maximum(high-low, 1e-6)
    return Image.fromarray(stretched.clip(0, 255).round().astype(np.uint8)),min(b, r)

def gather(args):
    args.out.mkdir(parents=True, exist_ok=True)
    hashes,n,loose = np.zeros((0,2), np.uint64),0,0
    for repository,commit,paths in SOURCES:
        git = git_dir(args.clones, repository)
        if git is None: raise SystemExit(f'missing: {repository}')
        for path,data in blobs(git, listed(git, commit, paths, PICTURE)):
            if (three := plates(data)) is None: continue
            im,fit = picture(*three)
            h = difference_hash(im)
            if is_near(h, hashes, bits=24): continue # aligned and cropped by others
            hashes = np.concatenate([hashes, h[None]])
            loose += fit<LEAST
            if fit<LEAST: continue
            im.save(args.out/f'{n:03d}.png')
            print(f'{n:03d} {repository} {path}, {fit:.2f}', flush=True)
            n += 1
    print(f'{n} pictures; {loose} could not be aligned')

def grays(rgb):
    "By name, (H,W) uint8: what three emulsions see of (1,3,H,W) in 0..1"
    L = rgb_to_L(rgb)
    neutral = lab_to_rgb(torch.cat([L, 0*L, 0*L], 1))[:,1]
    seen = dict(lightness=neutral, green=rgb[:,1], blue=rgb[:,2])
    return {k: (255*o[0]).round().byte().numpy() for k,o in seen.items()}

def compare(ab, true):
    "Mean squared distance of (1,2,h,w) from the truth, and the share of its hues that are near"
    colorful = true.norm(dim=1)>COLORFUL
    near = (F.cosine_similarity(ab, true, dim=1)>NEAR) & colorful
    return float((ab-true).square().sum(1).mean()),float(near.sum()/colorful.sum())

def summarize(rows):
    "Distance, share of the hues"
    return np.array([np.sqrt(rows[:,0].mean()), np.nanmean(rows[:,1])])

def measure(args):
    colorizer = Colorizer.from_pretrained(args.model)
    rows = {}
    for path in sorted(args.out.glob('*.png')):
        rgb = torch.from_numpy(np.array(Image.open(path))).permute(2,0,1)[None]/255
        cells = [max(1, round(o/CELL)) for o in rgb.shape[2:]]
        true = F.adaptive_avg_pool2d(rgb_to_lab(rgb)[:,1:], cells)
        for name,gray in grays(rgb).items():
            ab = F.adaptive_avg_pool2d(colorizer.colorize(gray).ab, cells)
            rows.setdefault(name, []).append((*compare(ab, true), float(ab.norm(dim=1).mean())))
        rows.setdefault('no color', []).append((*compare(0*true, true), 0))
        rows.setdefault('truth', []).append((0, 1, float(true.norm(dim=1).mean())))
    rows = {k: np.array(o) for k,o in rows.items()}
    first = rows['lightness']
    print(f"{len(first)} pictures, {args.model}\n\n| seen | chroma, distance | hue | mean chroma |")
    print('|---|---:|---:|---:|')
    for name,o in rows.items():
        (a,b),change = summarize(o),differences(o, first, summarize)
        over = [f' ({c:+.3f} [{low:+.3f}, {high:+.3f}])' if o is not first else ''
                for c,low,high in change]
        print(f'| {name} | {a:.2f}{over[0]} | {b:.3f}{over[1]} | {o[:,2].mean():.1f} |')

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('command', choices=('gather', 'measure'))
    p.add_argument('folders', type=Path, nargs='+')
    p.add_argument('--model', default='default')
    args = p.parse_args()
    *clones,args.out = args.folders
    if args.command=='gather': args.clones, = clones
    (gather if args.command=='gather' else measure)(args)

if __name__=='__main__': main()
