"""Eight users at once on the page: errors, waiting, memory

    python benchmarks/visitors.py --minutes 10
    python benchmarks/visitors.py --minutes 10 --tiny   # the smallest network: many more visits

Each visits, brings a small photograph, looks at it, chooses another coloring, paints a stroke,
asks where color is a guess (one time in four), saves the file and fetches it, leaves, and comes
again. Memory is that of the server's process, each half minute; in the first tenth of the time it
warms up."""
import argparse, io, json, random, sys, tempfile, threading, time
from collections import Counter
from pathlib import Path
import numpy as np
from PIL import Image
from served import PHOTO, Served, Visitor

sys.path[:0] = [str(Path(__file__).resolve().parents[1]/o) for o in ('', 'tests')]
from tiny import tiny_model

def scan(rng):
    "A photograph of its own, as the content of a file"
    im = Image.open(PHOTO).convert('L')
    w,h = rng.randint(200, 400),rng.randint(150, 300)
    x,y = rng.randrange(im.width-w),rng.randrange(im.height-h)
    buf = io.BytesIO()
    im.crop((x, y, x+w, y+h)).save(buf, 'JPEG', quality=90)
    return buf.getvalue()

class User(threading.Thread):
    "Somebody at the page until `end`"
    def __init__(self, url, number, end):
        super().__init__(daemon=True)
        self.url,self.rng,self.end = url,random.Random(number),end
        self.requests,self.visits,self.errors,self.seconds = 0,0,Counter(),[]
    def run(self):
        while time.monotonic()<self.end:
            start,v = time.monotonic(),None
            try:
                v = Visitor(self.url)
                self.visit(v)
                self.visits += 1
            except Exception as e:
                self.errors[f'{type(e).__name__}: {str(e)[:90]}'] += 1
            if v:
                self.requests += v.requests
            self.seconds.append(time.monotonic()-start)
    def visit(self, v):
        photo = v.upload(scan(self.rng))
        v.question('read', photo=photo)
        look = dict(photo=photo, strokes=[], saturation=1)
        v.question('color', seed=0, **look)
        v.question('sample', seed=self.rng.randint(1, 5), **look)
        stroke = [dict(color='#9c2f2c', radius=0.05, points=[[self.rng.random(), 0.5]])]
        v.question('color', seed=0, photo=photo, strokes=stroke, saturation=1)
        if self.rng.random()<0.25:
            v.question('uncertainty', photo=photo, strokes=[])
        made = v.question('save', seed=0, photo=photo, strokes=stroke, saturation=1)
        assert v.ask(made['url'])[:2]==b'\xff\xd8'
        v.leave()

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('--users', type=int, default=8)
    p.add_argument('--minutes', type=float, default=10)
    p.add_argument('--tiny', action='store_true', help='the smallest network, for memory')
    p.add_argument('--json', type=Path)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        model = ['--model', str(tiny_model(Path(tmp)/'tiny.safetensors'))] if args.tiny else []
        server = Served(Path(tmp), *model)
        start = time.monotonic()
        users = [User(server.url, i, start+60*args.minutes) for i in range(args.users)]
        for o in users:
            o.start()
        memory = [(0., *server.memory())]
        while any(o.is_alive() for o in users):
            time.sleep(min(30, 6*args.minutes))
            memory.append((time.monotonic()-start, *server.memory()))
        server.end()
        said = (Path(tmp)/'server.log').read_text().splitlines()[1:]
    errors = sum((o.errors for o in users), Counter())
    warm = [o for o in memory if o[0]>=6*args.minutes]
    slope = np.polyfit([o[0]/60 for o in warm], [o[1] for o in warm], 1)[0] if len(warm)>2 else 0.
    row = dict(network='the smallest' if args.tiny else 'the packaged', users=args.users,
        minutes=round(memory[-1][0]/60, 1),
        visits=sum(o.visits for o in users), requests=sum(o.requests for o in users),
        errors=sum(errors.values()), lines_logged=len(said),
        seconds_a_visit=round(float(np.median([s for o in users for s in o.seconds])), 1),
        mb_start=round(memory[0][1]), mb_warm=round(warm[0][1]), mb_end=round(warm[-1][1]),
        mb_most=round(max(o[1] for o in memory)), mb_a_minute=round(float(slope), 2))
    print('| '+' | '.join(row)+' |\n|'+'---|'*len(row))
    print('| '+' | '.join(map(str, row.values()))+' |')
    for k,n in errors.items():
        print(f'{n} × {k}')
    if args.json:
        args.json.write_text(json.dumps(dict(row, memory=memory, errors=errors)))
    return int(bool(errors))

if __name__=='__main__':
    sys.exit(main())
