"""Colorings of other systems, cut out of the pictures that show them

HAVC is dan64/vs-deoldify, whose README compares DDColor, DeOldify and ColTran on 23 color
photographs. DeOldify is jantic/DeOldify, whose earlier commits show results of 2018 and 2019 beside
the photographs. Terms are not looked up: nothing here is shown or passed on."""
import io
from pathlib import Path
import numpy as np, torch
from PIL import Image
from colorized.photo.lab import rgb_to_lab
from .clones import git, largest, versions
from .coloring import render

PHOTOGRAPHS = 23
LEFT,TOP,SIDE = (12, 372, 732),(10, 390),344 # Of the six squares of a comparison
# What the squares of the two comparisons show, row by row
FIRST = ['true', 'both', 'ddcolor_artistic', 'deoldify_stable', 'deoldify_video', 'coltran']
SECOND = [None, 'deoldify_artistic', None, None, 'ddcolor_modelscope', None]
DRAWING = 'OpiumSmokersDrawing' # The others are photographs
BLACK = 8     # Mean of a column up to which it belongs to the gap between photograph and result
LEAST_GAP = 90

def squares(im):
    "The six squares of a comparison"
    return [im.crop((x, y, x+SIDE, y+SIDE)) for y in TOP for x in LEFT]

def right_half(im):
    "The result beside a photograph, or None where the picture has no broad black gap"
    dark = np.asarray(im.convert('L')).mean(0)<BLACK
    middle = len(dark)//2
    bright_left,bright_right = np.flatnonzero(~dark[:middle]),np.flatnonzero(~dark[middle:])
    if not dark[middle] or not len(bright_left) or not len(bright_right): return None
    start = middle+bright_right[0]
    if start-bright_left[-1]<=LEAST_GAP: return None
    return im.crop((start, 0, *im.size))

def as_lab(im):
    "(1,3,H,W)"
    return rgb_to_lab(torch.from_numpy(np.array(im)).permute(2, 0, 1)[None]/255)

def recolored(im, true):
    "The chroma of a picture on the lightness of another"
    rgb = render(as_lab(true)[:,:1], as_lab(im)[:,1:])
    return Image.fromarray(rgb[0].permute(1, 2, 0).numpy())

def save(im, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    im.save(path)

def read(clone, path):
    "A picture of the newest commit"
    blob = git(clone, 'show', f'HEAD:{path}')
    return Image.open(io.BytesIO(blob)).convert('RGB')

def modern(clone, out):
    for i in range(1, PHOTOGRAPHS+1):
        first = squares(read(clone, f'test_images/Image_{i:02}_test.jpg'))
        second = squares(read(clone, f'test_images_ex/Image_{i:02}_test_ex.jpg'))
        for name,im in zip(FIRST+SECOND, first+second):
            if not name: continue
            save(im if name=='true' else recolored(im, first[0]), out/name/f'{i:02}.png')

def old(clone, out):
    "Of a picture in two formats PNG is taken, of a photograph tried twice the second result"
    found = {}
    for path,blobs in versions(clone, 'result_images').items(): # .PNG comes before .jpg
        name = Path(path).stem
        if name!=DRAWING and name not in found:
            found[name.removesuffix('Retry')] = largest(clone, blobs)
    for name,blob in found.items():
        if blob.startswith(b'version https://git-lfs'): continue
        result = right_half(Image.open(io.BytesIO(blob)).convert('RGB'))
        if result is not None: save(result, out/f'{name}.png')
