"""Photographs of things, animals and scenes that nothing here was trained on, out of public
repositories.

`python benchmarks/further.py CLONES OUT [--apart FOLDER …]`: CLONES is a folder with clones of the
repositories of `SETS`, named as `git clone` names them; OUT gets the folders `objects`, `scenes`
and `things`, PNGs with a shorter side of at most 512 pixels, and `objects.json` with the ImageNet
class of each of those. Photographs that are nearly gray are left out, and near duplicates of those
in the FOLDERs (128-bit difference hash, also mirrored)."""
import argparse, io, json
from pathlib import Path
import numpy as np
from PIL import Image, ImageOps
from clones import git, listed, located

SUPER = r'^data/(Urban100|Sun-Hays80)/image_SRF_[48]/.*HR\.png$'
SETS = ( # folder, repository, commit, which paths, every how manieth of them
    # one of each ImageNet class, in their order
    ('objects', 'EliSchwartz/imagenet-sample-images', 'bc69043e', r'\.JPEG$', 1),
    ('scenes', 'BIDS/BSDS500', 'a04b7c6c', r'images/.*\.jpg$', 1),
    ('scenes', 'jbhuang0604/SelfExSR', '8f6dd8c1', SUPER, 1),
    ('things', 'AbdulwahedA/Sea-Animals-Image-DatasetProject', '20949dfb', r'\.jpg$', 30),
    ('things', 'kovacspeter/Animal-classification', '2fb6ddc2',
     r'^data/dataset/train\+val/.*\.jpg$', 6),
    ('things', 'MachineLearning2020/Homework3-PACS', '33f7def0',
     r'^PACS/photo/(?!person).*\.jpg$', 3),
    ('things', 'shanev/keras-food-classifier', '9f8ca8ee', r'\.jpg$', 8),
    ('things', 'Ivordir/Okolors', '46ea1e2d', r'^img/CQ100/.*\.(png|jpg)$', 1))

def difference_hash(im):
    "Is each of 8×8 areas brighter than its left, and than its upper neighbor? (2,) uint64"
    im = im.convert('L')
    a,b = (np.asarray(im.resize(o, Image.BOX), np.int16) for o in ((9,8), (8,9)))
    brighter = np.concatenate([(a[:,1:]>a[:,:-1]).ravel(), (b[1:]>b[:-1]).ravel()])
    return np.packbits(brighter).view(np.uint64)

def hashes_of(folders):
    "Of all photographs in the folders, as they are and mirrored, (N,2)"
    suffixes = ('.jpg', '.jpeg', '.png', '.webp')
    found = [p for o in folders for p in sorted(Path(o).rglob('*'))]
    out = [np.zeros((0,2), np.uint64)]
    for p in found:
        if p.suffix.lower() not in suffixes: continue
        im = Image.open(p)
        im.draft('L', (64,64))
        im = ImageOps.exif_transpose(im) # as it is seen
        mirrored = im.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        out += [difference_hash(im)[None], difference_hash(mirrored)[None]]
    return np.concatenate(out)

def is_near(h, hashes, bits=12):
    return len(hashes)>0 and np.bitwise_count(hashes^h).sum(1).min()<=bits

def is_colorful(rgb):
    "Not nearly gray? Mean chroma of at least 4 CIELAB units"
    small = rgb.resize((64,64), Image.BOX).convert('LAB')
    ab = np.asarray(small).view(np.int8)[...,1:].astype(float)
    return np.hypot(*np.moveaxis(ab, -1, 0)).mean()>=4

def pictures(clone, commit, paths, every):
    "Number among those that match, and picture, of every n-th"
    where = located(clone)
    for i,(sha,_) in enumerate(listed(where, commit, paths)):
        if i%every==0: yield i,Image.open(io.BytesIO(git(where, 'cat-file', 'blob', sha)))

def shrink(im):
    "At most 512 pixels at the shorter side"
    if min(im.size)>512:
        im.thumbnail((512*max(im.size)//min(im.size),)*2, Image.LANCZOS)
    return im

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('clones', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--apart', nargs='*', default=[],
                   help='folders of photographs that none may resemble')
    args = p.parse_args()
    hashes,labels = hashes_of(args.apart),{}
    for folder,repo,commit,paths,every in SETS:
        out,n = args.out/folder,0
        out.mkdir(parents=True, exist_ok=True)
        name = repo.split('/')[1]
        for i,im in pictures(args.clones/name, commit, paths, every):
            im = im.convert('RGB')
            upright = ImageOps.exif_transpose(im)
            if not is_colorful(im) or is_near(difference_hash(upright), hashes): continue
            shrink(im).save(out/f'{name}-{i:05d}.png')
            n += 1
            if folder=='objects': labels[f'{name}-{i:05d}'] = i
        print(f'{n} photographs of {repo} @ {commit}', flush=True)
    (args.out/'objects.json').write_text(json.dumps(labels))

if __name__=='__main__': main()
