"""Which addresses of webhooks are taken: https on 443 of a public name, in one form."""

import pytest

from accounts.webhooks.addresses import NotAllowed, is_public, read_url
from accounts.webhooks.problems import PROBLEMS


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("https://example.com", "https://example.com/"),
        ("  https://EXAMPLE.com:443/Hook?a=1&b=%20 \n", "https://example.com/Hook?a=1&b=%20"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ("https://ＥＸＡＭＰＬＥ。com/", "https://example.com/"),
        ("https://example.com./", "https://example.com/"),
        ("https://example.com:/x", "https://example.com/x"),
        ("https://ทดสอบ.ไทย/ก", "https://xn--l3cfk7dp.xn--o3cw4h/%E0%B8%81"),
        ('https://a.b/"<>^`{|}', "https://a.b/%22%3C%3E%5E%60%7B%7C%7D"),
    ],
)
def test_a_url_is_kept_in_one_form(typed, url):
    target = read_url(typed)
    assert target.url == url
    assert read_url(target.url) == target


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "not_a_url"),
        ("http://example.com", "not_https"),
        ("//example.com", "not_https"),
        ("ftp://example.com", "not_https"),
        ("javascript:alert(1)", "not_https"),
        ("https://ann:secret@example.com/", "user_info"),
        ("https://@example.com/", "user_info"),
        ("https://example.com@127.0.0.1/", "user_info"),
        ("https://example.com:8443/", "other_port"),
        ("https://example.com:0/", "other_port"),
        ("https://example.com:99999/", "not_a_url"),
        ("https://example.com:4 43/", "not_a_url"),
        ("https://example.com/#part", "not_a_url"),
        ("https://example.com/a b", "not_a_url"),
        ("https://example.com/\r\nHost: evil", "not_a_url"),
        ("https://exam\tple.com/", "not_a_url"),
        ("https:\\\\127.0.0.1\\", "not_a_url"),
        ("https://example.com\\@127.0.0.1/", "not_a_url"),
        ("https://" + "a" * 600, "not_a_url"),
        ("https://example.com/" + "ก" * 70, "not_a_url"),
        ("https://localhost/", "not_a_name"),
        ("https:///path", "not_a_name"),
        ("https://127.0.0.1/", "not_a_name"),
        ("https://93.184.215.14/", "not_a_name"),
        ("https://127.1/", "not_a_name"),
        ("https://2130706433/", "not_a_name"),
        ("https://0x7f000001/", "not_a_name"),
        ("https://0x7f.1/", "not_a_name"),
        ("https://1.0x/", "not_a_name"),
        ("https://0177.0.0.01/", "not_a_name"),
        ("https://１２７.0.0.1/", "not_a_name"),
        ("https://①②⑦.⓪.⓪.①/", "not_a_name"),
        ("https://[::1]/", "not_a_name"),
        ("https://[::ffff:127.0.0.1]/", "not_a_name"),
        ("https://[fe80::1%25eth0]/", "not_a_name"),
        ("https://a..example/", "not_a_name"),
        ("https://-a.example/", "not_a_name"),
        ("https://a_b.example/", "not_a_name"),
        ("https://" + "a" * 64 + ".example/", "not_a_name"),
        ("https://exa\u200bmple\u2044.com/", "not_a_name"),
        ("https://xn--a.example/", "not_a_name"),
        ("https://example.com%00.evil.example/", "not_a_name"),
        ("https://[half/", "not_a_url"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused_in_words(typed, code):
    with pytest.raises(NotAllowed) as refused:
        read_url(typed)
    assert refused.value.code == code
    assert PROBLEMS[code]


PRIVATE = [
    "127.0.0.1",
    "127.255.0.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:53aa:64c:0:0:f5ff:fffe",
    "2001:2::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "example.com",
    "1.2.3",
    "2130706433",
]


def test_no_address_of_a_private_or_special_network_is_public():
    assert [address for address in PRIVATE if is_public(address)] == []


def test_ordinary_addresses_are_public():
    public = ("93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "2a00:1450::1")
    assert all(map(is_public, public))
