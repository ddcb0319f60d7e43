"What the tests of the desk share"
import json, shutil, socket
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen
import numpy as np
from PIL import Image
from colorized.batch.folder import colorize_folder
from colorized.desk.server import open_review, serve_desk

NAMES = '1910/barn.jpg','1910/boat.png','farm.jpg','garden.jpg','harbor.tif','mill.jpg'

def scans(folder):
    "Six small photographs, each with a pattern of its own"
    y,x = np.mgrid[:90,:120]
    for i,name in enumerate(NAMES):
        path = folder/name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((127+100*np.sin(x/(5+i))*np.cos(y/(9-i))).astype(np.uint8)).save(path)
    return folder

def color(src, dst, colorizer, **more):
    options = dict(steps=2, workers=0, progress=False)
    return colorize_folder(src, dst, colorizer, **{**options, **more})

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

@contextmanager
def serving(album, model, **more):
    "A desk in this process: its address and its `Review`"
    access = {k: more.pop(k) for k in ('token', 'host') if k in more}
    review = open_review(album, model=str(model), device='cpu',
                         **{'reviewer': 'Anna', **more})
    url,end = serve_desk(review, port=free_port(), wait=False, **access)
    try: yield url,review
    finally: end()

def ask(url, asked=None, **headers):
    "(status, answer: JSON where it is some)"
    is_data = asked is None or isinstance(asked, bytes)
    data = asked if is_data else json.dumps(asked).encode()
    try:
        with urlopen(Request(url, data, headers)) as r: status,body = r.status,r.read()
    except HTTPError as e: status,body = e.code,e.read()
    try: return status,json.loads(body)
    except ValueError: return status,body

def photographs(url):
    "{path: {column: value}} as the page gets them"
    columns = ask(url+'album')[1]['photographs']
    rows = [dict(zip(columns, o)) for o in zip(*columns.values())]
    return {o['path']: o for o in rows}

def copy(folder, to):
    shutil.copytree(folder, to)
    return Path(to)
