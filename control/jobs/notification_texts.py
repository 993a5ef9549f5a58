"""The texts of notifications: subject and body of each, by language."""

from control.store.notifications import About

LANGUAGES = ("en", "zh-CN")
Texts = dict[About, tuple[str, str]]
_ENGLISH: Texts = {
    "film": ("Your recording is ready: {title}", "The video of the recording of “{title}” is ready:\n\n{link}"),
    "minutes": ("Minutes of {title}", "The minutes of “{title}” were written from its captions:\n\n{link}"),
    "sign_in": (
        "Sign-in from a new device",
        "Somebody signed in as {username} from a device that this account did not use before.\n\n"
        "Time: {time}\nAddress: {address}\nBrowser: {agent}\n\n"
        "If that was you, there is nothing to do. If not, change your password, which signs out all devices:\n\n{link}",
    ),
    "reminder": ("{title} begins at {clock}", "“{title}” begins at {time}:\n\n{link}"),
    "lobby": (
        "Somebody waits for you: {title}",
        "Somebody waits to be admitted to “{title}”, and no host is there:\n\n{link}",
    ),
}
_CHINESE: Texts = {
    "film": ("录制视频已生成：{title}", "“{title}”的录制视频已生成：\n\n{link}"),
    "minutes": ("会议纪要：{title}", "已根据字幕生成“{title}”的会议纪要：\n\n{link}"),
    "sign_in": (
        "新设备登录提醒",
        "有人在此账号从未使用过的设备上登录了 {username}。\n\n时间：{time}\n地址：{address}\n浏览器：{agent}\n\n"
        "如果是你本人，无需处理。如果不是，请修改密码，所有设备将随之退出登录：\n\n{link}",
    ),
    "reminder": ("{title} 将于 {clock} 开始", "“{title}”将于 {time} 开始：\n\n{link}"),
    "lobby": ("有人在等候：{title}", "有人正在等候进入“{title}”，而主持人都不在：\n\n{link}"),
}
_TEXTS = {"en": _ENGLISH, "zh-CN": _CHINESE}
_FOOTERS = {
    "en": "You get this mail because of the notifications of your account. Switch it off here:\n{link}",
    "zh-CN": "这封邮件根据你账号的通知设置发送。可在此关闭：\n{link}",
}


def mail(about: About, language: str, switches: str, values: dict[str, str]) -> tuple[str, str]:
    """Return subject and body. An unknown language is English; `switches` is the link to the account's switches."""
    known = language if language in _TEXTS else "en"
    subject, body = _TEXTS[known][about]
    shown = {name: " ".join(value.split()) for name, value in values.items()}
    footer = _FOOTERS[known].format(link=switches)
    return subject.format(**shown), f"{body.format(**shown)}\n\n-- \n{footer}\n"
