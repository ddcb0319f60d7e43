"""213 historical photographs without true colors, to compare colorings by eye

    python -m benchmarks.weights.historical CLONE OUT --apart FOLDER

CLONE is a clone of jantic/DeOldify whose history is whole: earlier commits hold its test images,
photographs of about 1850 to 1960. OUT gets `look`, 64 of them drawn at random for viewers, and
`learn`, the others, gray PNGs with a shorter side of at most 288 pixels. Left out are pictures
that are small or in color, and near duplicates of each other or of what FOLDER holds (128-bit
difference hash). Terms are not looked up: the pictures are neither shown nor passed on."""
import argparse, io, random
from collections import Counter
from pathlib import Path
import numpy as np
from PIL import Image, ImageOps
from benchmarks.support.clones import largest, located, versions
from benchmarks.support.photo_sets import hashes_of
from .photographs import Known, hashes

SIDE, LEAST = 288, 160 # Shorter side, of what is stored and of what is taken
TINT = 3.5             # Mean distance to the mean chroma from which a picture is in color
LOOK = 64

def is_in_color(im):
    ab = np.asarray(im.resize((64,64), Image.BOX).convert('LAB')).view(np.int8)[...,1:]
    ab = ab.reshape(-1, 2).astype(float)
    return np.hypot(*(ab-ab.mean(0)).T).mean()>TINT

def fault(im, both, taken, apart):
    "Why a picture is left out, or None"
    if min(im.size)<LEAST: return 'small'
    if is_in_color(im): return 'in color'
    if apart.near(both, 14): return 'apart'
    if taken.near(both, 8): return 'twin'
    return None

def small(im):
    "Gray, its shorter side at most `SIDE`"
    scale = SIDE/min(im.size)
    if scale<1: im = im.resize([round(o*scale) for o in im.size], Image.LANCZOS)
    return im.convert('L')

def gather(git, apart):
    "Name and picture of what is taken, and how many others are left out for which reason"
    taken,pictures,why = Known(),{},Counter()
    for path,blobs in versions(git, 'test_images').items():
        name = Path(path).stem.replace(' ', '_')
        if name.count('-')==4: continue # walls, photographed with a telephone
        try:
            im = ImageOps.exif_transpose(Image.open(io.BytesIO(largest(git, blobs)))).convert('RGB')
        except (OSError, SyntaxError): # the second where EXIF is damaged
            why['broken'] += 1
            continue
        both = hashes(im)
        if reason := fault(im, both, taken, apart):
            why[reason] += 1
            continue
        taken.add(both[0])
        pictures[name] = small(im)
    return pictures,why

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    for o in ('clone', 'out'): p.add_argument(o, type=Path)
    p.add_argument('--apart', type=Path, required=True)
    args = p.parse_args()
    pictures,why = gather(located(args.clone), Known(hashes_of([args.apart])))
    names = sorted(f'{o}.png' for o in pictures)
    random.Random(0).shuffle(names)
    for i,name in enumerate(names):
        folder = args.out/('look' if i<LOOK else 'learn')
        folder.mkdir(parents=True, exist_ok=True)
        pictures[name[:-4]].save(folder/name, icc_profile=None)
    print(len(names), dict(why))

if __name__=='__main__': main()
