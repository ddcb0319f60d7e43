"""Draw `nbs/images/app.webp`, the picture of the web page in its chapter

`python tools/screenshot.py` (needs Chromium and playwright)."""
import io, shutil, socket, sys
from pathlib import Path
from PIL import Image
from playwright.sync_api import sync_playwright
from colorized.app.server import serve

root = Path(__file__).resolve().parent.parent
photo = 'nbs/images/campus-1910.jpg' # Marked as public domain
SIZE = dict(width=1180, height=700)
DRAG = 'o => { o.value = 45; o.dispatchEvent(new Event("input")) }'

def find_browser():
    names = ['chromium', 'chromium-browser', 'google-chrome']
    return next(filter(None, map(shutil.which, names)))

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def shoot(url, out):
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=find_browser(),
                                    args=['--no-sandbox', '--disable-gpu'])
        context = browser.new_context(viewport=SIZE, reduced_motion='reduce', color_scheme='light')
        page = context.new_page()
        page.set_default_timeout(240_000)
        page.goto(url)
        page.wait_for_selector('body[data-ready]')
        page.set_input_files('#files', root/photo)
        page.locator('#samples img[src]').nth(4).wait_for()
        page.locator('#split').evaluate(DRAG)
        page.wait_for_timeout(1500)
        shot = Image.open(io.BytesIO(page.screenshot())).convert('RGB')
        shot.save(out, 'WEBP', quality=78, method=6)
        browser.close()

if __name__=='__main__':
    url,end = serve(port=free_port(), device='cpu', wait=False)
    try:
        shoot(url, Path(sys.argv[1]) if len(sys.argv)>1 else root/'nbs/images/app.webp')
    finally:
        end()
