"""What becomes of small faces: how near their color is to the true one, by sampler and steps.

`python benchmarks/faces.py CLONE OUT [SPEC …] [--model FILE]`: CLONE is a clone of
vishalw-iitk/Widerface_Yolov5, which holds 202 photographs of crowds from WIDER FACE in its history
(commit cbae228a); they and the faces found in them are kept in the folder OUT. SPEC as in
`steps.py`, the whole photograph at its default size. Faces are found in the true colors by MTCNN
(`pip install --no-deps facenet-pytorch`, weights inside; sure by 0.9, 14 pixels and up). Their
color is the mean over the middle of the box, on the photograph as it is written.

gray: chroma below 6; wrong: hue off by more than 45°; right: by less than 30° and not gray. All
three as shares of the faces whose true chroma is above 8."""
import argparse, json, re, subprocess
from pathlib import Path
import numpy as np, torch
from PIL import Image
from further import is_colorful
from steps import sample

DEFAULT = ['ddim:1:1:1', 'dpmpp_2m+agree:6:1:1', 'dpmpp_2m+agree+keep:6:1:1',
           'dpmpp_2m+agree+keep:8:1:1', 'dpmpp_2m+agree+keep:6:0.85:1',
           'dpmpp_2m+agree+keep:6:0.6:1']

def photographs(clone, out):
    "Write those of the history that are not nearly gray"
    def git(*args):
        command = ['git', '-C', clone, *args]
        return subprocess.run(command, check=True, capture_output=True).stdout
    for line in git('rev-list', '--objects', 'cbae228a').decode().splitlines():
        sha,_,path = line.partition(' ')
        if not re.search(r'representative_dataset/.*\.jpg$', path): continue
        (out/Path(path).name).write_bytes(git('cat-file', 'blob', sha))
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

def measure(c, folder, found, spec):
    "A line of the table"
    from colorized.inference.colorizer import as_scan
    rows = []
    for i,(name,boxes) in enumerate(found.items()):
        true = Image.open(folder/name).convert('RGB')
        ours,truth = to_lab(colorized(c, as_scan(true.convert('L')), i, spec)),to_lab(true)
        rows += [np.stack([middle(ours, b), middle(truth, b)]) for b in boxes]
    ab,want = np.stack(rows, 1)
    chroma,strength = np.hypot(*ab.T),np.hypot(*want.T)
    off = np.abs(np.degrees(np.angle((ab@(1,1j))*np.conj(want@(1,1j)))))
    gray,known = chroma<6,strength>8
    share = lambda o: f'{o[known].mean():.3f}'
    distance = np.hypot(*(ab-want).T).mean()
    return (f"| {spec} | {share(gray)} | {share(~gray&(off>45))} | {share(~gray&(off<30))} "
            f"| {distance:.2f} | {chroma.mean():.1f} ({strength.mean():.1f}) |")

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('clone', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('specs', nargs='*', default=DEFAULT)
    p.add_argument('--model', help='checkpoint; default: the one inside the package')
    args = p.parse_args()
    from colorized.inference.colorizer import Colorizer
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    boxes = args.out/'faces.json'
    if not boxes.exists():
        photographs(args.clone, args.out)
        boxes.write_text(json.dumps(faces(sorted(args.out.glob('*.jpg')))))
    found,c = json.loads(boxes.read_text()),Colorizer.from_pretrained(args.model, device='cpu')
    print(f"{len(found)} photographs, {sum(map(len, found.values()))} faces\n")
    print("| | gray | wrong | right | distance to the true chroma | chroma (true) |\n"
          "|---|---|---|---|---|---|")
    for spec in args.specs:
        print(measure(c, args.out, found, spec), flush=True)

if __name__=='__main__': main()
