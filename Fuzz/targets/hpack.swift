// Fuzz target: header blocks of one connection, and the heads made of them.
//
// Limits never change what a block means for the next one; what was decoded is encoded and decoded to the same; a
// request that was taken is one that the HTTP/1 parser takes, too, with the same fields.

import Bytes
import HTTP

private let loose = HeadLimits(line: 1 << 20, head: 1 << 20, fields: 1 << 16)
private let tight = HeadLimits(line: 256, head: 1024, fields: 8)

/// Blocks with two bytes of length before each.
private func blocks(_ input: Bytes, _ body: (Bytes) -> Bool) {
    var at = 0
    while at + 2 <= input.count {
        let count = min(Int(input[at]) << 8 | Int(input[at + 1]), input.count - at - 2)
        guard body(input[(at + 2)..<(at + 2 + count)]) else { return }
        at += 2 + count
    }
}

private func isSame(_ a: FieldList, _ b: FieldList, _ index: Int) -> Bool {
    a.name(index) == b.name(index) && a.value(index) == b.value(index) && a[index].id == b[index].id
        && a[index].pseudo == b[index].pseudo && a[index].isMalformed == b[index].isMalformed
}

/// Encodes what is well-formed and reads it with a table of its own.
private func encodeAgain(_ list: FieldList) {
    let out = Buffer(capacity: 64), back = FieldList()
    var kept: [Int] = []
    for index in 0..<list.count where !list[index].isMalformed && list[index].pseudo != .unknown {
        kept.append(index)
        if list[index].pseudo == .none {
            HPACKEncoder.field(
                id: list[index].id, name: list.name(index), value: list.value(index),
                neverIndexed: list[index].isNeverIndexed, to: out)
        } else {
            HPACKEncoder.pseudo(list[index].pseudo, value: list.value(index), to: out)
        }
    }
    require(HPACKDecoder(tableLimit: 4096).decode(out.readable, into: back, limits: loose), "our own block is refused")
    require(back.count == kept.count, "our own block has another number of fields")
    for (at, index) in kept.enumerated() {
        require(back.name(at) == list.name(index) && back.value(at) == list.value(index), "a field changes by coding")
        require(!list[index].isNeverIndexed || back[at].isNeverIndexed || back[at].pseudo != .none, "a mark is lost")
    }
}

/// The head as an HTTP/1 message, through the parser that every request of HTTP/1 goes through.
private func asHTTP1(_ head: RequestHead) {
    let text = Buffer(capacity: 64)
    text.append(head.methodBytes)
    text.append(0x20)
    text.append(head.target)
    text.append(" HTTP/1.1\r\n")
    head.headers.write(to: text)
    text.append("\r\n")
    let other = RequestHead()
    var parser = RequestParser()
    parser.begin(at: 0)
    guard case .complete(let bodyAt) = parser.parse(text, into: other, limits: loose) else {
        return require(false, "HTTP/1 refuses a request that HTTP/2 took")
    }
    require(bodyAt == text.end, "a request became two")
    require(other.method == head.method && other.target == head.target && other.host == head.host, "another request")
    require(other.headers.count == head.headers.count, "another number of fields")
    for index in 0..<head.headers.count {
        require(other.headers.name(index) == head.headers.name(index), "another name")
        require(other.headers.value(index) == head.headers.value(index), "another value")
        require(other.headers.id(index) == head.headers.id(index), "another number of a name")
    }
    require(other.expectsContinue == head.expectsContinue && other.acceptsTrailers == head.acceptsTrailers, "a flag")
}

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        let first = HPACKDecoder(tableLimit: 4096), second = HPACKDecoder(tableLimit: 4096)
        let all = FieldList(), some = FieldList()
        let request = RequestHead(), response = ResponseHead(), trailers = HeaderBlock()
        blocks(input) { block in
            let isGood = first.decode(block, into: all, limits: loose)
            require(second.decode(block, into: some, limits: tight) == isGood, "limits change what is an error")
            require(first.tableCapacity <= 8192, "the table takes more memory than it may")
            require(some.storage.capacity <= 4096 + 4 * block.count + 8192, "a list grows past its limit")
            guard isGood else { return false }
            require(some.isTooLarge || some.count == all.count, "fields are missing")
            for index in 0..<some.count { require(isSame(all, some, index), "limits change a field") }
            encodeAgain(all)
            trailers.reset(source: nil)
            _ = trailers.takeTrailers(all)
            _ = response.take(some, end: seed & 1 == 1, toHead: seed & 2 == 2)
            if request.take(all, end: seed & 1 == 1, limits: loose) == nil { asHTTP1(request) }
            request.clear()
            response.clear()
            return true
        }
    }
    return 0
}
