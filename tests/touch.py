"Fingers on an element of a page that has touch"

def touching(page, element):
    "A function that sends an event with fingers at these shares of the element's width"
    b = page.locator(element).bounding_box()
    client = page.context.new_cdp_session(page)
    def touch(kind, *places):
        points = [dict(x=b['x']+u*b['width'], y=b['y']+0.5*b['height'], id=i)
                  for i,u in enumerate(places)]
        client.send('Input.dispatchTouchEvent', dict(type=kind, touchPoints=points))
    return touch
