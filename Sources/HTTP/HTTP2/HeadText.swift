// The buffer that a head of HTTP/2 keeps its text in.

import Bytes

/// One head's own buffer: it is exchanged for that of a decoded list, so that no text is copied and none of the
/// two ever allocates for the next message.
struct HeadText {
    private var own: Buffer?

    /// Takes the list's buffer and leaves the one of this head's last message, which is over.
    mutating func take(_ list: FieldList) -> Buffer {
        let text = list.storage
        list.storage = own ?? Buffer(capacity: FieldList.standardCapacity)
        list.storage.clear()
        own = text
        return text
    }

    /// One large head must not cost memory for ever.
    mutating func trim() {
        if let own, own.capacity > Buffer.standardCapacity { self.own = nil }
    }
}
