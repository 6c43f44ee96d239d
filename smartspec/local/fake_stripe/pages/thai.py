"""The pages in Thai, for a session whose locale is Thai and for a browser that asks for Thai.

A page is written in English, and its texts are replaced one by one. The name of a product, which is
no text of these pages, stays as it is.
"""

import html
import re
from functools import cache

TEXTS = {
    "This is a fake Stripe. No money moves.": "นี่คือ Stripe จำลอง ไม่มีเงินจริงเคลื่อนไหว",
    "Test": "ทดสอบ",
    "Pay": "ชำระเงิน",
    "Pay by card": "ชำระด้วยบัตร",
    "Email": "อีเมล",
    "Card number": "หมายเลขบัตร",
    "Expires": "วันหมดอายุ",
    "CVC": "รหัสหลังบัตร (CVC)",
    "Name on the card": "ชื่อบนบัตร",
    "Test cards": "บัตรทดสอบ",
    "Pay by PromptPay": "ชำระด้วยพร้อมเพย์",
    "Scan a QR code with the app of a Thai bank.": "สแกนคิวอาร์โค้ดด้วยแอปธนาคารไทย",
    "Show the QR code": "แสดงคิวอาร์โค้ด",
    "Tax is added for your address.": "ระบบจะเพิ่มภาษีตามที่อยู่ของคุณ",
    "← Leave without paying": "← ออกโดยไม่ชำระเงิน",
    "this card": "บัตรนี้",
    "Done": "เสร็จแล้ว",
    "This payment is done": "ชำระเงินเรียบร้อยแล้ว",
    "Nothing more is to be done here.": "ไม่มีอะไรต้องทำที่นี่อีก",
    "Back to the shop": "กลับไปที่ร้าน",
    "← Back to the shop": "← กลับไปที่ร้าน",
    "Expired": "หมดเวลา",
    "This page has expired": "หน้านี้หมดเวลาแล้ว",
    "It was not paid in time, or it was cancelled. Nothing was charged.": (
        "ไม่ได้ชำระเงินภายในเวลา หรือถูกยกเลิก ไม่มีการเรียกเก็บเงิน"
    ),
    "Back": "กลับ",
    "Is it you?": "นี่คือคุณใช่ไหม",
    "Check of your bank": "การตรวจสอบของธนาคาร",
    "Yes, it is me": "ใช่ ฉันเอง",
    "No, stop": "ไม่ใช่ หยุด",
    "The picture is no real code. Choose what the bank does.": ("ภาพนี้ไม่ใช่โค้ดจริง เลือกสิ่งที่ธนาคารจะทำ"),
    "Scanned: the money is there": "สแกนแล้ว: เงินเข้าแล้ว",
    "Scanned: the bank takes its time": "สแกนแล้ว: ธนาคารใช้เวลาสักพัก",
    "← Pay in another way": "← ชำระด้วยวิธีอื่น",
    "Your card was declined.": "บัตรของคุณถูกปฏิเสธ",
    "Your card has insufficient funds.": "เงินในบัตรของคุณไม่พอ",
    "Your card has expired.": "บัตรของคุณหมดอายุแล้ว",
    "Your card number is incorrect.": "หมายเลขบัตรไม่ถูกต้อง",
    "Your card number is incorrect. Here only Stripe's test cards work.": (
        "หมายเลขบัตรไม่ถูกต้อง ที่นี่ใช้ได้เฉพาะบัตรทดสอบของ Stripe"
    ),
    "Your card's security code is incorrect.": "รหัสหลังบัตรไม่ถูกต้อง",
    "An error occurred while processing your card. Try again in a little bit.": (
        "เกิดข้อผิดพลาดขณะประมวลผลบัตรของคุณ ลองอีกครั้งในอีกสักครู่"
    ),
    "is accepted": "ใช้ได้",
    "asks for 3-D Secure": "ขอยืนยันตัวตน (3-D Secure)",
    "is declined": "ถูกปฏิเสธ",
    "has too little money": "เงินไม่พอ",
    "can be saved, and is declined later": "บันทึกได้ แต่ถูกปฏิเสธภายหลัง",
    "is accepted, and disputed": "ใช้ได้ แล้วถูกโต้แย้ง",
    "is accepted, and its bank asks": "ใช้ได้ แล้วธนาคารสอบถาม",
    "is accepted, and its bank warns of fraud": "ใช้ได้ แล้วธนาคารเตือนว่าทุจริต",
    "is accepted; a refund takes its time": "ใช้ได้ การคืนเงินใช้เวลา",
    "is accepted; a refund fails afterwards": "ใช้ได้ การคืนเงินล้มเหลวภายหลัง",
    "Your plan and payments": "แผนและการชำระเงินของคุณ",
    "Billing": "การชำระเงิน",
    "Card": "บัตร",
    "Use this card": "ใช้บัตรนี้",
    "Invoices": "ใบแจ้งหนี้",
    "Cancel the plan": "ยกเลิกแผน",
    "Keep the plan after all": "ใช้แผนต่อ",
    "Paid": "ชำระแล้ว",
    "Open": "รอชำระ",
    "This does not work": "ทำไม่ได้",
    "There is no such page": "ไม่มีหน้านี้",
    "The address is wrong, or too old.": "ที่อยู่ไม่ถูกต้อง หรือเก่าเกินไป",
}
# Texts with an amount or a number in them, which is the group.
PATTERNS = {
    r"Pay (\S.*)": "ชำระ {}",
    r"Save this card": "บันทึกบัตรนี้",
    r"Subscribe for (\S.*)": "สมัครในราคา {}",
    r"(.+) every month": "{} ต่อเดือน",
    r"Scan to pay (\S.*)": "สแกนเพื่อชำระ {}",
    r"Invoice (\S.*)": "ใบแจ้งหนี้ {}",
    r"(.+) every month · (\w+)": "{} ต่อเดือน · {}",
    r"Renews on (.+)": "ต่ออายุวันที่ {}",
    r"Ends on (.+)": "สิ้นสุดวันที่ {}",
    (
        r"The bank of your card wants to be sure that you pay (\S+)\. This is the check that a bank"
        r" shows \(3-D Secure\)\."
    ): "ธนาคารของบัตรต้องการยืนยันว่าคุณเป็นผู้ชำระ {} นี่คือหน้าตรวจสอบที่ธนาคารแสดง (3-D Secure)",
}
# A text between two tags, with the white space around it.
TEXT = re.compile(r"(?<=>)(\s*)([^<>\s][^<>]*?)(\s*)(?=<)")


def translate(page: bytes) -> bytes:
    """Return a page in Thai. What has no Thai stays English."""
    text = page.decode().replace('<html lang="en">', '<html lang="th">')
    return TEXT.sub(lambda found: found[1] + _find_thai(found[2]) + found[3], text).encode()


@cache
def _find_thai(text: str) -> str:
    plain = " ".join(html.unescape(text).split())
    if known := TEXTS.get(plain):
        return html.escape(known)
    for pattern, thai in PATTERNS.items():
        if found := re.fullmatch(pattern, plain):
            return html.escape(thai.format(*found.groups()))
    return text


def is_wanted(locale: str | None, languages: str) -> bool:
    """True for a Thai session; where Stripe chooses (`auto`), for a browser that asks for Thai."""
    if locale in (None, "", "auto"):
        return languages.strip().lower().startswith("th")
    return str(locale).startswith("th")
