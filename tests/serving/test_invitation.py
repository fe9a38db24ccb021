import re

import cv2
import numpy as np
import pytest

pytest.importorskip("segno", reason="QR codes need the extra serve")
import segno

from digitnet.serving.invitation import invitation, reachable


def test_the_address_holds_the_token_where_browsers_do_not_send_it():
    told = invitation("192.168.1.20", 8000, "open sesame&")
    assert told["url"] == "http://192.168.1.20:8000/#/draw?token=open%20sesame%26"
    assert invitation("fe80::1", 80, None)["url"] == "http://[fe80::1]:80/"


def test_the_code_reads_as_the_address():
    told = invitation("192.168.1.20", 8000, "0123456789abcdef")
    assert re.match(r'<svg xmlns="http://www.w3.org/2000/svg" ', told["svg"])
    # The picture is segno's; what it encodes is read by OpenCV.
    modules = np.array(list(segno.make(told["url"], micro=False, error="m").matrix_iter(scale=4, border=4)), np.uint8)
    assert cv2.QRCodeDetector().detectAndDecode(np.where(modules, 0, 255).astype(np.uint8))[0] == told["url"]


def test_all_addresses_are_shown_as_one_that_others_can_use():
    assert reachable("192.168.1.20") == "192.168.1.20"
    assert reachable("0.0.0.0") not in ("0.0.0.0", "")
