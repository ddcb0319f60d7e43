"Packets parsed, pruned and joined"
import time
import pytest
from colorized.photo.xmp import (XMP_NAMESPACES, parse_xmp, rdf_of, remove_properties,
                                 turn_regions, xmp_packet)

NS = ' '.join(f'xmlns:{k}="{v}"' for k,v in XMP_NAMESPACES.items())
def packet(inside): return f'<x:xmpmeta {NS}><rdf:RDF>{inside}</rdf:RDF></x:xmpmeta>'

@pytest.mark.parametrize('encode', [
    lambda o: o.encode(), lambda o: o.encode('utf-8-sig'), lambda o: o.encode('utf-16'),
    lambda o: b'\xfe\xff'+o.encode('utf-16-be'), lambda o: b'\n'+o.encode()+b'\0\0 \n',
    lambda o: ('<?xml version="1.0" encoding="UTF-16"?>'+o).encode('utf-16')])
def test_packets_are_read_in_every_encoding(encode):
    dom = parse_xmp(encode(packet('<rdf:Description dc:title="Möwen"/>')))
    assert rdf_of(dom).firstChild.getAttribute('dc:title')=='Möwen'

@pytest.mark.parametrize('text, why', [
    ('<!DOCTYPE a>', 'document type'), ('<!doctype a>', 'document type'),
    ('<!ENTITY a "b">', 'document type'),
    ('<!DOC<?xml ?>TYPE a [<!ENT<?xml ?>ITY b "c">]>', 'document type')])
def test_definitions_are_refused(text, why):
    with pytest.raises(ValueError, match=why): parse_xmp((text+packet('')).encode())

def test_what_is_no_xmp_is_refused():
    with pytest.raises(ValueError, match='no rdf:RDF'): parse_xmp(b'<RDF/>')
    with pytest.raises(Exception): parse_xmp(b'<torn')

def seconds(call, *args):
    "Of work, on a busy machine, too, whatever comes of it"
    began = time.process_time()
    try: call(*args)
    except Exception: pass
    return time.process_time()-began

@pytest.mark.parametrize('inside, why', [
    ('<a/>'*50_000, 'more than 50000 tags'), (' '*2**21, 'longer than 2 MB'),
    (f'<a xmlns:p="{"u"*9999}"/>', 'over 300'), (f"<a xmlns =\n'{'u'*9999}'/>", 'over 300'),
    ('<a>'*120+'</a>'*120, 'nested too deeply'), ('<a>'*5000+'</a>'*5000, 'nested too deeply')])
def test_what_would_fill_the_memory_is_refused(inside, why):
    with pytest.raises(ValueError, match=why): parse_xmp(packet(inside).encode())

def test_the_history_of_years_is_read():
    entry = f'<rdf:li stEvt:action="saved" stEvt:instanceID="xmp.iid:{"0"*36}"/>\n'
    ns = 'xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"'
    inside = f'<xmpMM:History><rdf:Seq>{entry*12_000}</rdf:Seq></xmpMM:History>'
    parse_xmp(packet(f'<rdf:Description {ns}>{inside}</rdf:Description>').encode())

@pytest.mark.parametrize('inside', [
    '<?xml'*25_000, 'x'*300_000+'\U0001f600'+'a<![CDATA[]]>'*20_000])
def test_a_packet_takes_no_time_that_grows_with_its_square(inside):
    assert seconds(parse_xmp, packet(inside).encode())<1.5

def test_cdata_is_text():
    text = rdf_of(parse_xmp(packet('a<![CDATA[<b>]]><![CDATA[]]>&amp;c').encode())).firstChild
    assert text.data=='a<b>&c'

def test_a_property_is_removed_wherever_it_stands_but_not_inside_another():
    dom = parse_xmp(packet('''<rdf:Description dc:format="a" dc:title="kept"/>
        <rdf:Description><dc:format>b</dc:format><dc:format>c</dc:format></rdf:Description>
        <rdf:Description><xmpMM:DerivedFrom><rdf:Description dc:format="inside"/>
        </xmpMM:DerivedFrom><xmp:format>other</xmp:format></rdf:Description>''').encode())
    remove_properties(dom, [('dc', 'format')])
    left = dom.toxml()
    assert left.count('dc:format')==1 and 'inside' in left and 'other' in left and 'kept' in left

def test_a_property_with_structures_inside_is_removed():
    "As older programs of Adobe write thumbnails"
    dom = parse_xmp(packet('''<rdf:Description><xmp:Thumbnails><rdf:Alt><rdf:li><rdf:Description>
        <dc:format>JPEG</dc:format></rdf:Description></rdf:li></rdf:Alt></xmp:Thumbnails>
        </rdf:Description>''').encode())
    remove_properties(dom, [('xmp', 'Thumbnails')])
    assert 'JPEG' not in dom.toxml()

class Picture:
    "As Pillow shows a JPEG"
    def __init__(self, xmp, *parts):
        head = b'http://ns.adobe.com/xmp/extension/\0'+b'0'*32
        self.info = dict(xmp=xmp)
        self.applist = [('APP1', head+len(p).to_bytes(4, 'big')+at.to_bytes(4, 'big')+p)
                        for at,p in parts]

def test_parts_of_a_packet_are_put_in_order():
    more = packet('<rdf:Description dc:rights="CC0&#10;1.0"/>').encode()
    first = packet('<rdf:Description xmpNote:HasExtendedXMP="000" dc:title="a"/>').encode()
    joined = xmp_packet(Picture(first, (40, more[40:]), (0, more[:40])))
    assert b'CC0&#10;1.0' in joined and b'title="a"' in joined and b'HasExtendedXMP' not in joined
    assert xmp_packet(Picture(first, (0, more[:40])))==first # a part is missing
    assert xmp_packet(Picture(None, (0, more))) is None

def test_joined_parts_keep_their_namespaces():
    "Wherever they are declared, and though one prefix may mean two things"
    first = packet('<rdf:Description xmlns:t="urn:first" t:a="1"/>').encode()
    more = packet('\n<rdf:Description t:a="2"/>\n<rdf:Description xmlns:t="urn:own" t:a="3"/>')
    more = more.replace('<rdf:RDF>', '<rdf:RDF xmlns:t="urn:second">').encode()
    dom = parse_xmp(xmp_packet(Picture(first, (0, more))))
    found = [[d.getAttributeNS(f'urn:{k}', 'a') for k in ('first', 'second', 'own')]
             for d in dom.getElementsByTagName('rdf:Description')]
    assert found==[['1', '', ''], ['', '2', ''], ['', '', '3']]

def test_long_parts_are_joined_quickly():
    more = packet('<a/>'*4000).encode()
    assert seconds(xmp_packet, Picture(packet('').encode(), (0, more)))<1.5

def test_namespaces_are_declared_where_they_are_needed():
    ns = ' '.join(f'xmlns:p{i}="urn:{i}"' for i in range(100))
    more = packet('<a><p1:a p2:b=""/></a>'+'<p3:a/>'*100).replace('<rdf:RDF', f'<rdf:RDF {ns}')
    joined = xmp_packet(Picture(packet('').encode(), (0, more.encode())))
    assert [joined.count(b'xmlns:p%d='%i) for i in range(5)]==[0, 1, 1, 100, 0]
    assert parse_xmp(joined).getElementsByTagNameNS('urn:1', 'a')

def test_text_becomes_bytes():
    class Png: info = {'XML:com.adobe.xmp': '<ä/>'}
    assert xmp_packet(Png())=='<ä/>'.encode()

def regions(x='0.1', sides='stDim:w="50" stDim:h="40"', more=''):
    "As Lightroom writes them, in attributes"
    return packet(f'''<rdf:Description xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
        xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#">
        <mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions {sides}/>
        <mwg-rs:RegionList><rdf:Bag><rdf:li><rdf:Description mwg-rs:Name="Anna">
        <mwg-rs:Area stArea:x="{x}" stArea:y="0.2" stArea:w="0.06" stArea:h="0.05"/>
        </rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>{more}
        </rdf:Description>''').encode()

def test_regions_turn():
    said = []
    turned = turn_regions(regions(), 6, (50,40), said).decode()
    for o in 'w="40"','h="50"','x="0.8"','y="0.1"','w="0.05"','h="0.06"','Name="Anna"':
        assert o in turned
    assert turn_regions(regions(), 1, (40,50), said)==regions()
    assert turn_regions(None, 6, (50,40), said) is None and not said

def test_regions_of_the_upright_picture_stay():
    turned = turn_regions(regions(sides='stDim:w="40" stDim:h="50"'), 6, (50,40), []).decode()
    assert 'w="40"' in turned and 'x="0.1"' in turned and 'y="0.2"' in turned

def test_regions_within_regions_turn_once():
    nested = regions(sides='').decode()
    nested = nested.replace('<mwg-rs:Regions ', '<mwg-rs:Regions><mwg-rs:Regions ')
    nested = nested.replace('</mwg-rs:Regions>', '</mwg-rs:Regions>'*2).encode()
    assert b'x="0.8"' in turn_regions(nested, 6, (50,40), [])

@pytest.mark.parametrize('xmp, lost', [
    (regions(x='12'), 'mwg-rs:Regions'), (regions(x='?'), 'mwg-rs:Regions'),
    (regions(sides='stDim:w="50"'), 'mwg-rs:Regions'),
    (regions(more='<MP:RegionInfo/>'), 'MP:RegionInfo'),
    (regions(more='<Iptc4xmpExt:ImageRegion/>'), 'Iptc4xmpExt:ImageRegion')])
def test_regions_that_cannot_be_turned_are_left_behind(xmp, lost):
    said = []
    turned = turn_regions(xmp, 6, (50,40), said)
    assert said==[f'regions marked on the unturned picture were left behind: {lost}']
    assert f'<{lost}'.encode() not in turned and rdf_of(parse_xmp(turned))

def test_what_has_no_regions_is_left_alone():
    for xmp in b'<torn',packet('<rdf:Description dc:title="a"/>').encode():
        assert turn_regions(xmp, 6, (50,40), []) is xmp
