"""What becomes of small faces: how near their color is to the true one, by sampler and steps.

`python benchmarks/faces.py CLONE OUT [SPEC …] [--model FILE] [--other FILE]`: CLONE is a clone of
vishalw-iitk/Widerface_Yolov5, which holds 202 photographs of crowds from WIDER FACE in its history
(commit cbae228a); they and the faces found in them are kept in the folder OUT. SPEC as in
`steps.py`, the whole photograph at its default size. Faces are found in the true colors by MTCNN
(`pip install --no-deps facenet-pytorch`, weights inside; sure by 0.9, 14 pixels and up). Their
color is the mean over the middle of the box, on the photograph as it is written.

gray: chroma below 6; wrong: hue off by more than 45°; right: by less than 30° and not gray. All
three as shares of the faces whose true chroma is above 8. `--other` measures a second checkpoint,
and the differences to it, with intervals."""
import argparse, json, re
from pathlib import Path
import numpy as np, torch
from PIL import Image
from clones import git, located
from further import is_colorful
from steps import sample

DEFAULT = ['ddim:1:1:1', 'dpmpp_2m+agree:6:1:1', 'dpmpp_2m+agree+keep:6:1:1',
           'dpmpp_2m+agree+keep:8:1:1', 'dpmpp_2m+agree+keep:6:0.85:1',
           'dpmpp_2m+agree+keep:6:0.6:1']

def photographs(clone, out):
    "Write those of the history that are not nearly gray"
    where = located(clone)
    for line in git(where, 'rev-list', '--objects', 'cbae228a').decode().splitlines():
        sha,_,path = line.partition(' ')
        if not re.search(r'representative_dataset/.*\.jpg$', path): continue
        (out/Path(path).name).write_bytes(git(where, 'cat-file', 'blob', sha))
    for p in out.glob('*.jpg'):
        if not is_colorful(Image.open(p).convert('RGB')): p.unlink()

def faces(files):
    "Name -> boxes (x0, y0, x1, y1) in pixels"
    from facenet_pytorch import MTCNN
    finder = MTCNN(keep_all=True, min_face_size=14, thresholds=[.6, .7, .9])
    found = {p.name: finder.detect(Image.open(p).convert('RGB'))[0] for p in files}
    return {k: [] if o is None else o.tolist() for k,o in found.items()}

def middle(lab, box):
    "Mean (a,b) of the middle of a box"
    x0,y0,x1,y1 = box
    def part(start, end, share):
        m,o = (start+end)/2,share*(end-start)
        return slice(max(0, int(m-o/2)), max(1, int(m+o/2)+1))
    return lab[1:,part(y0, y1, 0.6),part(x0, x1, 0.55)].mean((1,2)).numpy()

def colorized(c, scan, i, spec):
    "(H,W,3) uint8: the photograph as it would be written"
    from colorized.model.sampling import working_shape
    from colorized.photo.writing import render_strips
    cond = c.condition(scan.thumbnail_L(working_shape(scan.shape, **c.grid())))
    return np.concatenate(list(render_strips(scan, sample(c, None, [cond], [i], spec), 8)))

def to_lab(rgb):
    from colorized.photo.lab import rgb_to_lab
    return rgb_to_lab(torch.from_numpy(np.array(rgb)).permute(2,0,1)[None])[0]

def measured(c, folder, found, spec):
    "Of each face (a,b) as drawn and as in truth, (F,2), and the number of its photograph, (F,)"
    from colorized.inference.colorizer import as_scan
    rows = []
    for i,(name,boxes) in enumerate(found.items()):
        true = Image.open(folder/name).convert('RGB')
        ours,truth = to_lab(colorized(c, as_scan(true.convert('L')), i, spec)),to_lab(true)
        rows += [(middle(ours, b), middle(truth, b), i) for b in boxes]
    return [np.stack(o) for o in zip(*rows)]

def judged(ab, want):
    "What became of each face: {'gray', 'wrong', 'right': (F,) bool}, and whether it counts, (F,)"
    gray = np.hypot(*ab.T)<6
    off = np.abs(np.degrees(np.angle((ab@(1,1j))*np.conj(want@(1,1j)))))
    return dict(gray=gray, wrong=~gray&(off>45), right=~gray&(off<30)),np.hypot(*want.T)>8

def row(ab, want, spec):
    "A line of the table"
    became,known = judged(ab, want)
    shares = ' | '.join(f'{o[known].mean():.3f}' for o in became.values())
    distance,chroma,strength = (np.hypot(*o.T).mean() for o in (ab-want, ab, want))
    return f'| {spec} | {shares} | {distance:.2f} | {chroma:.1f} ({strength:.1f}) |'

def difference(new, old, want, photograph, n_boot=2000):
    """{'gray', 'wrong', 'right': (share of `new` less that of `old`, low, high)}

    95 % percentile bootstrap over photographs, whose faces stay together: those of one crowd are
    lit and drawn alike."""
    (a,known),(b,_) = judged(new, want),judged(old, want)
    drawn = np.random.default_rng(0).integers(0, photograph.max()+1, (n_boot, photograph.max()+1))
    def of_photographs(values): return np.bincount(photograph, values, photograph.max()+1)
    faces,out = of_photographs(known),{}
    for name in a:
        gained = of_photographs((a[name].astype(int)-b[name])*known)
        boots = gained[drawn].sum(1)/faces[drawn].sum(1)
        out[name] = gained.sum()/faces.sum(),*np.quantile(boots, (.025, .975))
    return out

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('clone', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('specs', nargs='*', default=DEFAULT)
    p.add_argument('--model', help='checkpoint; default: the one inside the package')
    p.add_argument('--other', help='checkpoint that it is compared with, in the same way')
    args = p.parse_args()
    from colorized.inference.colorizer import Colorizer
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    boxes = args.out/'faces.json'
    if not boxes.exists():
        photographs(args.clone, args.out)
        boxes.write_text(json.dumps(faces(sorted(args.out.glob('*.jpg')))))
    found = json.loads(boxes.read_text())
    c,other = (Colorizer.from_pretrained(o, device='cpu') for o in (args.model, args.other))
    print(f"{len(found)} photographs, {sum(map(len, found.values()))} faces\n")
    print("| | gray | wrong | right | distance to the true chroma | chroma (true) |\n"
          "|---|---|---|---|---|---|")
    for spec in args.specs:
        ab,want,photograph = measured(c, args.out, found, spec)
        print(row(ab, want, spec), flush=True)
        if not args.other: continue
        old,_,_ = measured(other, args.out, found, spec)
        print(row(old, want, f'{spec} of {args.other}'), flush=True)
        say = difference(ab, old, want, photograph).items()
        print('Difference: '+', '.join(f'{k} {d:+.3f} [{low:+.3f}, {high:+.3f}]'
                                       for k,(d,low,high) in say), flush=True)

if __name__=='__main__': main()
