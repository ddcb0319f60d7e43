"""Let a photograph dissolve, as the forward process does, and save the strip: `python tools/strip.py photo.jpg [strip.png]`"""
import sys
import numpy as np, torch
from PIL import Image
from colorized.schedule import make_schedule

def strip(photo, n=6, height=240, seed=0):
    "`n` moments of `photo` (a PIL image) under the cosine schedule, side by side, as a PIL image"
    small = photo.convert('RGB').resize((round(photo.width*height/photo.height), height), Image.Resampling.LANCZOS)
    x0 = torch.from_numpy(np.array(small)).permute(2,0,1)[None].float()/127.5 - 1
    schedule = make_schedule('cosine', n_steps=1000)
    t = torch.linspace(0, len(schedule)-1, n).long()
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed)).expand(n, -1, -1, -1)
    x_t = schedule.q_sample(x0.expand(n, -1, -1, -1), t, eps)
    pixels = ((x_t/2 + 0.5).clamp(0, 1)*255).round().byte()
    return Image.fromarray(torch.cat(list(pixels), dim=2).permute(1,2,0).numpy())

if __name__ == '__main__':
    if not 2 <= len(sys.argv) <= 3: sys.exit(__doc__)
    out = sys.argv[2] if len(sys.argv)>2 else 'strip.png'
    strip(Image.open(sys.argv[1])).save(out)
    print(f'Wrote {out}: the photograph on the left, pure noise on the right')
