"The page under a clumsy or hasty hand, a busy server, small windows and high contrast"
import pytest
from app_server import Server
from test_page import Visitor, sizes
from touch import touching

@pytest.fixture(scope='module')
def server(tmp_path_factory, model):
    "With the smallest network, which is quick"
    s = Server(tmp_path_factory.mktemp('care'), '--model', model)
    yield s
    if s.process.poll() is None:
        s.end()

# Questions can be held back, or refused, and are noted
SPY = '''() => {
    const f = window.fetch
    window.held = {}; window.refused = {}; window.asked = []
    window.fetch = async (url, o) => {
        const q = String(url).split('/').at(-1)
        asked.push([q, o?.body ? JSON.parse(o.body) : null])
        const status = refused[q]
        if (held[q]) await new Promise(yes => setTimeout(yes, held[q]))
        return status ? new Response('', {status}) : f(url, o)
    } }'''

@pytest.fixture
def visit(server, browser):
    "A visitor whose questions can be held back (`held`) and refused (`refused`)"
    opened = []
    def visit(*files, **context):
        v = Visitor(browser, server.base, **context)
        opened.append(v)
        v.page.set_default_timeout(60_000)
        v.page.evaluate(SPY)
        if files:
            v.bring(*files)
            v.rest(len(files))
        return v
    yield visit
    for v in opened:
        v.close(server.base)

def asked(v, question):
    return [args for q,args in v.page.evaluate('asked') if q==question]

def focus(v):
    return v.page.evaluate('document.activeElement.id || document.activeElement.tagName')

def drag_saturation(v, steps):
    box,mouse = v.page.locator('#saturation').bounding_box(),v.page.mouse
    y = box['y']+box['height']/2
    mouse.move(box['x']+box['width']/2, y)
    mouse.down()
    for i in range(steps):
        mouse.move(box['x']+box['width']*(0.5+0.4*(i+1)/steps), y)
        v.page.wait_for_timeout(15)
    mouse.up()

# ---- what is shown is what is saved ----
def check_a_stroke_while_it_is_saved(v):
    v.page.evaluate('held.save = 700')
    with v.page.expect_download():
        v.page.click('#save')
        v.stroke('Red', 0.4, 0.6)
    v.page.wait_for_timeout(100)
    assert asked(v, 'save')[-1]['strokes']==[] and not v.page.evaluate('now.saved')
    assert v.page.inner_text('#saved')==''
    v.page.evaluate('held = {}')
    v.rest(1)

def check_a_refused_change(v):
    shown = v.page.get_attribute('#after', 'src')
    v.page.evaluate('refused.color = 503')
    v.page.locator('#samples label').nth(3).click()
    v.until('document.querySelectorAll("#messages p").length')
    drag_saturation(v, 4)
    v.until('!now.painting')
    assert len(v.messages)==1 and 'Too many people are waiting' in v.messages[0]
    assert v.page.get_attribute('#after', 'src')==shown
    assert v.page.evaluate('[now.seed, now.saturation, $("saturation").value]')==[0, 1, '100']
    assert v.page.evaluate('document.querySelector("#samples :checked").value')=='0'
    v.page.evaluate('$("messages").replaceChildren()')

def check_a_newer_wish_is_asked(v):
    v.page.evaluate('held.color = 500') # the first is refused when the second is there
    v.page.locator('#samples label').nth(1).click()
    v.until('!!now.painting')
    v.page.evaluate('refused = {}')
    v.page.locator('#samples label').nth(2).click()
    v.until('!now.painting')
    assert asked(v, 'color')[-1]['seed']==v.page.evaluate('now.shown.seed')==2
    assert not v.messages

def test_what_is_shown_is_what_is_saved(visit, small_copies):
    v = visit(*small_copies('riverfront-1931.jpg'))
    check_a_stroke_while_it_is_saved(v)
    check_a_refused_change(v)
    check_a_newer_wish_is_asked(v)

def test_one_overlay_is_asked_for_at_a_time_and_comes_when_it_was_wished_early(visit, small_copies):
    files = small_copies('riverfront-1931.jpg', 'buffalo-1908.jpg')
    v = visit(files[0])
    v.page.evaluate('held.uncertainty = 1500')
    v.page.check('#show-uncertainty')
    drag_saturation(v, 8)
    v.until('!$("uncertainty").hidden')
    v.rest(1)
    assert len(asked(v, 'uncertainty'))==1 and len(asked(v, 'color'))>2
    uploads = []
    v.page.evaluate('held = {}')
    v.page.route('**/photos/*name=*', lambda route: uploads.append(route))
    v.bring(files[1])
    v.until('photos.length==2')
    v.page.locator('#strip button').nth(1).click()
    assert v.page.evaluate('now===photos[1] && !now.id')
    while not uploads:
        v.page.wait_for_timeout(20)
    uploads[0].continue_()
    v.rest(2)
    v.until('!$("uncertainty").hidden', seconds=30)
    assert v.page.is_checked('#show-uncertainty')

# ---- strokes that nobody meant ----
def test_no_strokes_that_nobody_meant(visit, small_copies):
    "Two fingers, keys that are held, and a photograph that cannot be seen yet"
    files = small_copies('riverfront-1931.jpg', 'buffalo-1908.jpg')
    v = visit(files[0], has_touch=True)
    strokes = lambda: v.page.evaluate('now.strokes.length + !!stroke')
    v.page.get_by_role('radio', name='Red', exact=True).focus()
    v.press('Space')
    for _ in range(4): # held: each but the first is a repetition
        v.page.keyboard.down('Enter')
    v.page.keyboard.up('Enter')
    assert focus(v)=='canvas' and strokes()==0
    for _ in range(4):
        v.page.keyboard.down('Space')
    v.page.keyboard.up('Space')
    assert strokes()==1
    v.rest(1)
    touch = touching(v.page, '#canvas')
    touch('touchStart', 0.3)
    touch('touchMove', 0.25)
    assert strokes()==2
    touch('touchStart', 0.25, 0.7)
    touch('touchMove', 0.2, 0.8)
    touch('touchEnd')
    assert strokes()==1
    v.page.evaluate('held.read = 1000')
    v.bring(files[1])
    v.until('photos[1]?.id')
    v.page.locator('#strip button').nth(1).click()
    assert v.page.evaluate('!now.before && !!brush') and v.page.is_hidden('#canvas')
    v.rest(2)
    assert v.page.is_visible('#canvas')

def test_ones_own_color_has_a_mark(visit, small_copies):
    v = visit(*small_copies('riverfront-1931.jpg'))
    marked = 'getComputedStyle(document.querySelector(".any")).outlineStyle'
    v.page.evaluate('document.querySelector(".any input").click()') # takes the color as it is
    assert v.page.evaluate('brush')=='#7a5c8e' and v.page.evaluate(marked)=='solid'
    v.page.evaluate('''() => { const i = document.querySelector(".any input")
        i.value = '#112233'; i.dispatchEvent(new Event('input', {bubbles:true})) }''')
    ground = v.page.evaluate('getComputedStyle(document.querySelector(".any")).backgroundImage')
    assert 'rgb(17, 34, 51)' in ground
    v.page.get_by_role('radio', name='Red', exact=True).check(force=True)
    assert v.page.evaluate(marked)=='none'

# ---- the focus, and what lies under the pointer, stay ----
def check_the_strip_stays_under_the_hand(v):
    v.page.locator('#strip button').nth(2).focus()
    v.page.evaluate('strip()')
    assert v.page.evaluate('document.activeElement === $("strip").children[2]')
    b,mouse = v.page.locator('#strip button').nth(1).bounding_box(),v.page.mouse
    mouse.move(b['x']+20, b['y']+20)
    mouse.down()
    v.page.evaluate('strip()')
    mouse.up()
    assert v.page.evaluate('photos.indexOf(now)')==1

def test_the_focus_is_not_lost(visit, small_copies):
    names = 'riverfront-1931.jpg', 'buffalo-1908.jpg', 'campus-1910.jpg'
    v = visit(*small_copies(*names))
    check_the_strip_stays_under_the_hand(v)
    v.page.focus('#save')
    with v.page.expect_download():
        v.press('Enter')
        assert v.page.get_attribute('#save', 'aria-disabled')=='true'
        v.press('Enter') # it is saving already
    v.until('$("save").ariaDisabled == "false"')
    assert focus(v)=='save' and len(asked(v, 'save'))==1
    v.stroke('Red', 0.5, 0.5)
    v.rest(3)
    v.page.focus('#undo')
    v.press('Enter')
    assert v.page.evaluate('document.activeElement.value')=='#9c2f2c'
    v.page.evaluate('complain("a"); complain("b"); complain("a")')
    assert len(v.messages)==2
    v.page.focus('#messages button')
    v.press('Enter')
    assert v.page.evaluate('document.activeElement === document.querySelector("#messages button")')
    v.press('Enter')
    assert focus(v)=='add' and not v.messages

# ---- files come ----
def test_what_was_not_taken_is_counted(visit, small_copies):
    "Of many files; what is not ready is no part of a download of all, and that is said"
    v = visit()
    v.page.evaluate('held.read = 1000')
    tiny = small_copies('riverfront-1931.jpg')[0].read_bytes()
    v.bring(*[dict(name=f'{i}.jpg', mimeType='image/jpeg', buffer=tiny) for i in range(30)])
    v.until('photos.length==4 && photos[0].image')
    assert len(v.messages)==1
    assert v.messages[0].startswith('26 of 30 were not taken: only 4 photographs can be open')
    v.page.click('#all')
    assert '3 of 4 photographs are not ready yet' in v.messages[1]
    v.page.evaluate('for (let i = 0; i < 30; i++) complain(`${i}`)')
    assert len(v.messages)==32
    height = v.page.evaluate('$("messages").clientHeight')
    assert height<400 and v.page.evaluate('$("messages").scrollHeight')>height
    v.page.evaluate('held = {}')
    v.rest(4)

# A visit as with `--max-photos 1 --max-megapixels 1`
LIMITS_OF_ONE = '''async () => {
    const f = window.fetch
    window.fetch = async (...a) =>
        Response.json({...await (await f(...a)).json(), photos:1, megapixels:1})
    await arrive()
    window.fetch = f
    return $('terms').textContent }'''

def test_a_limit_of_one_is_told_in_the_singular(visit, small_copies):
    v,file = visit(),small_copies('riverfront-1931.jpg')[0]
    terms = v.page.evaluate(LIMITS_OF_ONE)
    assert terms.startswith('1 photograph at most, 1 megapixel each: JPEG')
    for n,said in (2, 'Only 1 photograph can be'), (3, '3 of 3 were not taken: only 1 photograph '):
        v.bring(*[file]*n)
        v.until('document.querySelectorAll("#messages p").length')
        assert v.messages[0].startswith(said)
    v.rest(1)

def test_a_page_that_writes_files_is_not_left_without_a_word(visit, small_copies):
    "Nothing was painted: what would be lost are the files alone"
    v = visit(*small_copies('riverfront-1931.jpg'))
    asks = '!dispatchEvent(new Event("beforeunload", {cancelable:true}))'
    assert not v.page.evaluate(asks)
    v.page.evaluate('held.save = 700')
    with v.page.expect_download():
        v.page.click('#save')
        assert v.page.evaluate(asks)
    v.until('!saves')
    assert not v.page.evaluate(asks)

def drop(v, *paths):
    client = v.context.new_cdp_session(v.page)
    data = dict(items=[], files=[str(o) for o in paths], dragOperationsMask=1)
    def send(kind):
        client.send('Input.dispatchDragEvent', dict(type=kind, x=600, y=400, data=data))
    for kind in 'dragEnter','dragOver':
        send(kind)
    assert v.page.is_visible('body.over')
    return lambda: send('drop')

def test_what_is_dropped(visit, small_copies, tmp_path):
    "A folder is named as one; the sign over the page goes when nothing is over it any more"
    file = small_copies('riverfront-1931.jpg')[0]
    (tmp_path/'album').mkdir()
    v = visit()
    drop(v, tmp_path/'album', file)()
    v.rest(1)
    assert len(v.messages)==1 and v.messages[0].startswith('“album” is a folder. Please open it')
    assert v.page.is_hidden('#over')
    drop(v, file)
    assert v.page.is_visible('#over')
    v.until('$("over").hidden', seconds=5) # nobody said that it left

def test_reasons_are_true(visit, small_copies):
    "What the server says is shown, and asked for again; a visit that it does not know begins anew"
    files = small_copies('riverfront-1931.jpg', 'buffalo-1908.jpg')
    v = visit(files[0])
    v.page.evaluate('''() => { const f = window.fetch
        visit = null
        window.fetch = async () =>
            new Response('{"error":"Too many people are here."}', {status:503})
        window.known = f }''')
    v.bring(files[1])
    v.until('document.querySelectorAll("#messages p").length')
    assert v.messages[0].startswith('Too many people are here.')
    v.page.evaluate('window.fetch = known; visit = {visitor:"of yesterday", photos:4}')
    v.bring(files[1])
    v.until('photos[0]?.name=="buffalo-1908.jpg"')
    v.rest(1)
    assert len(v.messages)==1
    assert 'started again, or this page was left, or left alone for too long' in v.messages[0]

def test_a_page_that_the_browser_kept_says_that_its_photographs_are_gone(visit, small_copies):
    v = visit(small_copies('riverfront-1931.jpg')[0])
    v.page.evaluate('''() => {
        dispatchEvent(new PageTransitionEvent('pagehide', {persisted:true}))
        setTimeout(() => dispatchEvent(new PageTransitionEvent('pageshow', {persisted:true})), 1000)
    }''')
    v.until('document.querySelectorAll("#messages p").length')
    assert 'this page was left' in v.messages[0]
    assert v.page.evaluate('photos.length')==0

def test_a_photograph_that_arrived_waits_where_a_queue_is_full(visit, small_copies):
    v = visit()
    v.page.evaluate('refused.color = 503')
    v.bring(*small_copies('riverfront-1931.jpg'))
    v.until('photos[0]?.busy=="Many people are waiting"')
    v.page.evaluate('refused = {}')
    v.rest(1)
    assert not v.messages and v.page.is_visible('#after')

# ---- small windows, high contrast ----
HIDDEN = '''async () => {
    const covered = []
    for (const o of document.querySelectorAll(
            '#remove, #samples input, #more, #saturation, [role=switch], #palette input, #save')) {
        o.focus()
        await new Promise(yes => setTimeout(yes, 20))
        const r = (o.matches('#samples input') ? o.parentNode : o).getBoundingClientRect()
        const top = document.elementFromPoint(r.x+r.width/2, r.y+r.height/2)
        if (!top?.closest('label, button, input') || $('stage').contains(top) != (o.id == 'remove'))
            covered.push(o.id || o.value)
    }
    return covered }'''

def test_small_windows_and_large_letters(visit, small_copies):
    v = visit(*small_copies('riverfront-1931.jpg', 'buffalo-1908.jpg'))
    for width,height in (320, 256), (568, 320):
        v.page.set_viewport_size(dict(width=width, height=height))
        assert not v.page.evaluate(HIDDEN), (width, height)
    v.page.set_viewport_size(sizes['phone'])
    assert v.page.locator('header').bounding_box()['height']<70 # one line
    v.page.evaluate('document.documentElement.style.fontSize = "200%"')
    assert v.page.evaluate('document.documentElement.scrollWidth')<=390
    ends = '''['add', 'save', 'all', 'more'].map(o => $(o).getBoundingClientRect().right)'''
    assert max(v.page.evaluate(ends))<=390

def test_high_contrast(visit, small_copies):
    "The switch, the sizes of the brush and the focus can be seen without our grounds and shadows"
    v = visit(*small_copies('riverfront-1931.jpg'), forced_colors='active')
    style = lambda css,name,pseudo='': v.page.evaluate('''([css, name, pseudo]) =>
        getComputedStyle(document.querySelector(css), pseudo)[name]''', [css, name, pseudo])
    ground = style('body', 'backgroundColor')
    switch = '#show-uncertainty'
    assert style(switch, 'borderTopWidth')!='0px'
    for on in False,True:
        v.page.set_checked(switch, on)
        v.page.wait_for_timeout(300)
        knob = style(switch, 'backgroundColor', '::after')
        assert knob!=style(switch, 'backgroundColor'), on
    assert style(switch, 'backgroundColor')!=ground
    v.rest(1)
    v.stroke('Red', 0.5, 0.5)
    dots = [style(f'#sizes label:nth-child({i})', 'backgroundColor', '::after') for i in (1, 2, 3)]
    assert ground not in dots
    outlines = [style(f'#sizes label:nth-child({i})', 'outlineStyle') for i in (1, 2, 3)]
    assert outlines==['none', 'solid', 'none']
    v.page.focus('#samples input:checked')
    v.press('ArrowRight')
    assert style('#samples label:has(:checked)', 'outlineStyle')=='dashed'
    v.rest(1)

def test_a_photograph_is_not_dragged_away_by_the_slider(visit):
    "Firefox takes an image for something to drag, unless it is told not to"
    v = visit()
    dragged = '[...document.querySelectorAll("#frame img")].some(o => o.draggable)'
    assert not v.page.evaluate(dragged)
