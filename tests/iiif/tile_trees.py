"A reader of level-0 trees for the tests, by the letter of the Image API and not by our code"
import itertools, json
import numpy as np
from PIL import Image

def read_tree(folder, factor):
    "The picture at a scale factor"
    info = json.loads((folder/'info.json').read_text())
    W,H,t = info['width'],info['height'],info['tiles'][0]['width']
    out = np.full((-(-H//factor), -(-W//factor), 3), 255, np.uint8)
    for y,x in itertools.product(range(0, H, t*factor), range(0, W, t*factor)):
        w,h = min(t*factor, W-x),min(t*factor, H-y)
        name = f'{x},{y},{w},{h}/{-(-w//factor)},{-(-h//factor)}/0/default.jpg'
        tile = np.asarray(Image.open(folder/name).convert('RGB'))
        top,left = y//factor,x//factor
        out[top:top+tile.shape[0], left:left+tile.shape[1]] = tile
    return out
