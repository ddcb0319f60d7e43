"""Photographs of things, animals and scenes that nothing here was trained on

`SETS` come out of public repositories, PNGs with a shorter side of at most 512 pixels; *outside*
is the children's program GCompris (`apt-get download gcompris-qt-data`), whose licenses (public
domain and Creative Commons, mostly) are listed in the package."""
import hashlib, io, json, struct, subprocess, tempfile
from pathlib import Path
import numpy as np
from PIL import Image, ImageOps
from .clones import git, git_dir, holds, listed
from .results import Missing

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

def pictures(where, commit, paths, every):
    "Number among those that match, and picture, of every n-th"
    for i,(sha,_) in enumerate(listed(where, commit, paths)):
        if i%every==0: yield i,Image.open(io.BytesIO(git(where, 'cat-file', 'blob', sha)))

def shrink(im):
    "At most 512 pixels at the shorter side"
    if min(im.size)>512:
        im.thumbnail((512*max(im.size)//min(im.size),)*2, Image.LANCZOS)
    return im

def gather(clones, out, apart=()):
    """The sets, each in a folder of `out`, and `objects.json`

    Left out are photographs that are nearly gray, and near duplicates of those in the folders
    `apart` (128-bit difference hash, also mirrored)."""
    hashes,labels = hashes_of(apart),{}
    for folder,repo,commit,paths,every in SETS:
        name,n = repo.split('/')[1],0
        where = git_dir(clones, repo)
        if where is None or not holds(where, commit):
            raise Missing(f"needs a clone of {repo} with commit {commit}, at "
                          f"{clones/repo.replace('/', '+')}")
        (out/folder).mkdir(parents=True, exist_ok=True)
        for i,im in pictures(where, commit, paths, every):
            im = im.convert('RGB')
            upright = ImageOps.exif_transpose(im)
            if not is_colorful(im) or is_near(difference_hash(upright), hashes): continue
            shrink(im).save(out/folder/f'{name}-{i:05d}.png')
            n += 1
            if folder=='objects': labels[f'{name}-{i:05d}'] = i
        print(f'{n} photographs of {repo} @ {commit}', flush=True)
    (out/'objects.json').write_text(json.dumps(labels))

# GCompris

ACTIVITIES = ['categorization', 'erase', 'explore_farm_animals', 'explore_monuments',
              'explore_world_animals', 'explore_world_music']

def webps(data):
    "The WebP files that lie uncompressed in one of Qt's resource files"
    i = -1
    while (i := data.find(b'RIFF', i+1))>=0:
        if data[i+8:i+12]==b'WEBP':
            yield data[i:i+8+struct.unpack('<I', data[i+4:i+8])[0]]

def is_photograph(rgb):
    "At least 200 px, not nearly gray, and of more colors than a drawing"
    small = np.asarray(rgb.resize((128,128))).astype(int)
    off_gray = np.abs(small-small.mean(2, keepdims=True)).mean()
    n_colors = len(np.unique(small.reshape(-1, 3)//8, axis=0))
    return min(rgb.size)>=200 and off_gray>=4 and n_colors>=400

def unpack(package, out):
    "Its photographs into the folder `out`"
    out.mkdir(parents=True, exist_ok=True)
    n = 0
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['dpkg-deb', '-x', package, d], check=True)
        files = [f for f in sorted(Path(d).rglob('*.rcc')) if f.stem in ACTIVITIES]
        for f,data in ((f, o) for f in files for o in webps(f.read_bytes())):
            im = Image.open(io.BytesIO(data))
            if im.mode!='RGB' or not is_photograph(im): continue
            if max(im.size)>1024: im.thumbnail((1024,1024))
            im.save(out/f'{f.stem}-{hashlib.sha256(data).hexdigest()[:8]}.png')
            n += 1
    print(f'{n} photographs in {out}')
