"""Several users at once on the page: errors, waiting, memory

    python benchmarks/run.py page --csv FILE            # ten minutes of eight users
    python benchmarks/run.py page --tiny                # the smallest network: many more visits

Each visits, brings a small photograph, looks at it, chooses another coloring, paints a stroke,
asks where color is a guess (one time in four), saves the file and fetches it, leaves, and comes
again. Five times they all go away for 35 s. Memory is the proportional set size of the server:
`mb_busy` each half minute, at most, when it also depends on what is being asked, `mb_at_rest` at
the end of each rest. An error ends it with status 1."""
import io, random, sys, threading, time
from collections import Counter
from statistics import median
from PIL import Image
from colorized.inference.colorizer import Colorizer
from benchmarks.support.page_server import PHOTO, ROOT, Served, Visitor
from benchmarks.support.results import Figure

sys.path.append(str(ROOT/'tests'))
from tiny import tiny_model

TURNS = 5
REST = 35 # seconds; each 30 the server returns what is free

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

def come_and_go(users, server, memory):
    "Until all have left; adds the server's memory to the list"
    for o in users:
        o.start()
    for o in users:
        while o.is_alive():
            o.join(30)
            memory.append(server.memory())

def add_options(p):
    p.add_argument('--users', type=int, default=8)
    p.add_argument('--minutes', type=float, default=10)
    p.add_argument('--tiny', action='store_true', help='the smallest network, for memory')

def measure(args):
    rest,turns = REST,TURNS
    if args.quick: args.users,args.minutes,rest,turns = 2,0.2,2,1
    model = ['--model', str(tiny_model(args.tmp/'tiny.safetensors'))] if args.tiny else []
    server = Served(args.tmp, *model)
    before,users,busy,at_rest = server.memory(),[],[],[]
    for turn in range(turns):
        end = time.monotonic()+60*args.minutes/turns
        users += [User(server.url, turn*args.users+i, end) for i in range(args.users)]
        come_and_go(users[-args.users:], server, busy)
        time.sleep(rest)
        at_rest.append(server.memory())
    server.end()
    said = (args.tmp/'server.log').read_text().splitlines()[1:]
    errors = sum((o.errors for o in users), Counter())
    for k,n in errors.items(): print(f'{n} × {k}', file=sys.stderr)
    row = dict(
        visits=sum(o.visits for o in users), requests=sum(o.requests for o in users),
        errors=sum(errors.values()), lines_logged=len(said),
        seconds_a_visit=median([s for o in users for s in o.seconds]), mb_before=before,
        mb_busy_most=max(busy), mb_at_rest_first=at_rest[0], mb_at_rest_last=at_rest[-1])
    what = f"{args.users} users, {'the smallest' if args.tiny else 'the packaged'} network"
    sha = '' if args.tiny else Colorizer.from_pretrained(device='cpu').sha256[:8]
    for k,v in row.items():
        yield Figure(f'page: {what}', f'{args.minutes:g} minutes', args.users, k, v, weights=sha)
    return int(bool(errors))
