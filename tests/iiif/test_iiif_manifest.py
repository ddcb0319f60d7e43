"Reading manifests: slips, odd things, and what is no manifest"
import itertools, json
from collections import Counter
import pytest
from colorized.iiif.choice import rights_remark, validity_remark
from colorized.iiif.fetch import Fetcher, IIIFError
from colorized.iiif.manifest import find_pictures, image_service, read_manifest
from manifest_samples import FOLDER, U, colored, counting, prezi3_manifest, read, valid
from museum import body

# Slips of version 3

def no_label(m):
    m['items'][0]['label'] = '1 recto'

def single(m):
    c = m['items'][0]
    c['items'] = c['items'][0]
    c['items']['items'] = c['items']['items'][0]

def old_names(m):
    c = m['items'][0]
    a = c['items'][0]['items'][0]
    for o in (m, c, a['body']): o['@id'],o['@type'] = o.pop('id'),o.pop('type')
    m['@type'],c['@type'],a['body']['@type'] = 'sc:Manifest','sc:Canvas','dctypes:Image'

def one_choice(m):
    a = m['items'][0]['items'][0]['items'][0]
    a['body'] = dict(type='Choice', items=dict(a['body'], label={'en': ['Daylight']}))

def one_body(m):
    a = m['items'][0]['items'][0]['items'][0]
    a['body'],a['motivation'] = [a['body']],['painting']

SLIPS = [no_label, single, old_names, one_choice, one_body]

@pytest.mark.parametrize('slip', SLIPS, ids=lambda o: o.__name__)
def test_slips_of_version_3(tmp_path, slip):
    "What is meant is clear, and what comes out is right"
    m = prezi3_manifest()
    slip(m)
    m = read(m, tmp_path)
    found,others = find_pictures(m)
    assert [o.key for o in found]==[f'{U}/iiif/p{i}' for i in range(2)] and not others
    assert found[0].where.startswith(f'canvas {U}/canvas/0 ("')
    assert valid(colored(m)[0])

ODD = (None, 'https://x.org/odd', 17, [], {}, [None], ['odd', 3], {'id': 'https://x.org/odd'},
       {'type': ['Image']}, [[{}]])

def paths(o, path=()):
    "Of everything in a document"
    yield path
    inside = o.items() if isinstance(o, dict) else enumerate(o) if isinstance(o, list) else []
    for k,v in inside: yield from paths(v, (*path, k))

@pytest.mark.parametrize('version', [2, 3])
def test_odd_manifests_do_no_harm(tmp_path, version):
    "Anything else in place of anything: a manifest comes out, or an error that names the file"
    good,n = prezi3_manifest(),Counter()
    if version==2: good = json.loads((FOLDER/'ghent.json').read_text('utf-8'))
    for path,odd in itertools.product(list(paths(good))[1:], ODD):
        doc = at = json.loads(json.dumps(good))
        for k in path[:-1]: at = at[k]
        at[path[-1]] = odd
        try:
            m = read(doc, tmp_path)
            n['read'] += 1
        except IIIFError as e:
            assert str(e).startswith(str(tmp_path/'m.json'))
            n['refused'] += 1
            continue
        rights_remark(m)
        json.dumps(validity_remark(colored(m)[0]))
    assert n['read']>10*n['refused']>0

# Pictures

@pytest.mark.parametrize('elsewhere', [
    lambda c, page: c.update(items=[page['id']]),
    lambda c, page: c.update(items=[dict(id=page['id'], type='AnnotationPage')]),
    lambda c, page: page.update(items=[f'{U}/p/0'])])
def test_pictures_that_are_listed_elsewhere_are_said(tmp_path, elsewhere):
    m = prezi3_manifest()
    c = m['items'][0]
    elsewhere(c, c['items'][0])
    found,others = find_pictures(read(m, tmp_path))
    assert len(found)==1 and len(others)==1
    assert 'canvas/0' in others[0] and f'elsewhere, in {U}/p/0' in others[0]

@pytest.mark.parametrize('name,is_whole', [
    ('full/max/0/default.jpg', True), ('full/600,/0/default.jpg', True),
    ('0,0,300,200/max/0/native.png', True), ('0,0,150,200/max/0/default.jpg', False),
    ('full/max/90/default.jpg', False), ('full/max/!0/default.jpg', False), ('a.jpg', True)])
def test_the_service_stands_for_the_whole_picture(name, is_whole):
    "An address of a part, or turned, is not that of all that the service has"
    service = dict(id=f'{U}/iiif/a/', type='ImageService3', width=300, height=200)
    others = [dict(id=f'{U}/search', type='SearchService1'), dict(type='ImageService3'), 'odd']
    body = dict(id=f'{U}/iiif/a/{name}', service=[*others, service])
    assert image_service(body)==(service if is_whole else None)
    elsewhere = dict(service, id='http://images.example/iiif/a')
    assert image_service(dict(body, service=elsewhere))==(elsewhere if is_whole else None)

def test_names_of_files():
    "Readable, and different for addresses that differ; nothing in them can leave the folder"
    m = prezi3_manifest()
    def name(key):
        body = m['items'][0]['items'][0]['items'][0]['body']
        body.pop('service', None)
        body['id'] = key
        return find_pictures(m)[0][0].name
    assert name(f'{U}/box-1/view%20of%20town.tif').startswith('view-of-town-')
    assert name(f'{U}/iiif/p1/full/max/0/default.jpg').startswith('p1-')
    assert name(f'{U}/a/1.jpg')!=name(f'{U}/b/1.jpg')
    assert name(U).startswith('image-')
    for key in ('http://[host]/a.jpg', 'http://[::1/a.jpg', 'http://\u2100.com/a.jpg'):
        assert name(key).startswith('image-') # no address at all, which costs this picture only
    for key in (f'{U}/..%2f..%2fetc%2fpasswd', f'{U}/%00.jpg', f'{U}/{"a"*300}.jpg'):
        assert '/' not in name(key) and '\0' not in name(key) and len(name(key))<50

def test_two_pictures_never_share_a_name(tmp_path):
    "The hashes of these two addresses begin alike"
    keys = [f'{U}/{i}/a.jpg' for i in (128640, 176780)]
    m = prezi3_manifest()
    for c,key in zip(m['items'], keys):
        c['items'][0]['items'][0]['body'] = dict(id=key, type='Image')
    def names(*args): return [p.name for p in find_pictures(read(m, tmp_path), *args)[0]]
    short,long = names()
    assert short=='a-4239442b' and long.startswith(f'{short}') and len(long)==2+64
    assert names({short: keys[1]})[1]==short # as it has been called before
    assert names({short: keys[1]})[0]!=short

def test_long_texts_are_not_repeated(tmp_path):
    "A label, an address or a kind for each of many annotations"
    nothing = dict(motivation='painting', body=dict(type='x'*1000))
    m = prezi3_manifest()
    m['items'][0].update(label={'none': ['y'*10_000]}, items=[dict(items=[nothing]*100)])
    long = dict(motivation='painting', body=dict(type='Image', id=f'{U}/{"z"*10_000}'))
    m['items'][1].update(items=[dict(items=[long]*100)])
    found,others = find_pictures(read(m, tmp_path))
    assert len(others)==200 and not found and max(map(len, others))<400
    assert 'an address of over 2000 characters' in others[-1]

def test_half_a_character_is_replaced(tmp_path):
    "A lone surrogate can be read, but not be written"
    label = '"a \\ud800 b \\ud83d\\ude00 \\\\ud800"'
    m = read(json.dumps(prezi3_manifest()).replace('"An album"', label), tmp_path)
    assert m['label']['en']==['a \ufffd b \U0001f600 \\ud800'] and json.dumps(m).encode()

def test_a_manifest_has_a_limit(museum, tmp_path):
    museum.faults['/m.json'] = body(b' '*(2**25+1))
    with pytest.raises(IIIFError, match='more than 32 MB'):
        read_manifest(f'{museum.url}/m.json', Fetcher(tmp_path/'c', retries=0), counting())

# What is no manifest

def ranges(n):
    "Each in the one before"
    ranges = [{'@id': f'{U}/{i}', 'ranges': [f'{U}/{i+1}']} for i in range(n)]
    first = {'canvases': [{'@id': f'{U}/c'}]}
    return json.dumps({'@type': 'sc:Manifest', 'sequences': [first], 'structures': ranges})

@pytest.mark.parametrize('text,says', [
    ('{', 'not JSON'),
    ('[]', 'not a manifest'),
    ('{"type": "Collection", "items": [{"id": "https://x.org/1"}]}', 'https://x.org/1'),
    ('{"@type": "sc:Collection", "manifests": []}', 'is a collection'),
    ('{"@context": "http://iiif.io/api/presentation/4/context.json", "type": "Manifest"}',
     'versions 2 and 3'),
    ('{"type": "Manifest"}', 'items'),
    ('{"type": "Manifest", "items": []}', 'no canvases'),
    ('{"type": "Manifest", "items": [{"type": "Canvas"}]}', 'without an id'),
    ('{"type": "Annotation"}', 'Annotation'),
    ('{"id": "https://x.org/1"}', 'its type is not said'),
    ('{"@type": "sc:Manifest", "sequences": 3}', 'no canvases'),
    ('{"type": "Manifest", "items": [1e999]}', '1e999 is no number'),
    ('{"type": "Manifest", "items": [NaN]}', 'NaN is no number'),
    ('{"type": "Manifest", "x": '+'['*120+']'*120+'}', 'nested more than'),
    ('{"type": "Manifest", "items": [{"id": "'+'x'*3000+'"}]}', 'over 2000 characters'),
    (ranges(100), 'nested more than'),
    (ranges(1000), 'RecursionError')], ids=lambda o: o[:40])
def test_what_is_no_manifest_is_named(tmp_path, text, says):
    with pytest.raises(IIIFError, match=says) as e: read(text, tmp_path)
    assert str(tmp_path/'m.json') in str(e.value)

def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(IIIFError, match='neither an address .* nor a file'):
        read_manifest(tmp_path/'none.json', None, counting())
