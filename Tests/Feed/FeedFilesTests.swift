// What is kept in the state directory: the last good configuration, and which revisions killed the process.

import CLinux
import Snapshot
import Testing

@testable import Proxy

@Suite("Files of a gateway that follows a control plane")
struct FeedFilesTests {
    private func folder() throws -> String {
        var template = Array("/tmp/seaway-feed-XXXXXX".utf8CString)
        try #require(unsafe mkdtemp(&template) != nil)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func remove(_ folder: String) {
        for name in ["configuration", "attempt", "identity"] { _ = unsafe unlink(folder + "/" + name) }
        _ = unsafe rmdir(folder)
    }

    private func version(_ revision: UInt64) -> FeedVersion {
        var tables = Snapshot()
        var consumer = Consumer()
        consumer.username = "user \(revision)"
        tables.consumers = [consumer]
        return FeedVersion(revision: revision, tables: tables)
    }

    @Test("of configurations in a row the last is stored, for nobody else to read, and read back")
    func configurations() throws {
        let folder = try folder()
        defer { remove(folder) }
        let files = FeedFiles(directory: folder)
        #expect(files.configuration == nil)
        for revision in 1...200 { files.store(version(UInt64(revision))) }
        files.finish()
        let stored = try #require(files.configuration)
        #expect(stored.revision == 200)
        #expect(stored.tables.consumers.map(\.username) == ["user 200"])
        #expect(files.storeError == 0)
        var facts = sys_file()
        #expect(unsafe sys_file_at(folder + "/configuration", 0, &facts) == 0)
        #expect(facts.mode & 0o777 == 0o600)
    }

    @Test("a stored configuration that is damaged counts as none")
    func damaged() throws {
        let folder = try folder()
        defer { remove(folder) }
        let files = FeedFiles(directory: folder)
        #expect(StateFile.replace(folder + "/configuration", with: [0x12, 0xFF, 1], isDurable: false) == 0)
        #expect(files.configuration == nil)
    }

    @Test("an attempt that was not ended is a death of its revision, however others went meanwhile")
    func attempts() throws {
        let folder = try folder()
        defer { remove(folder) }
        let files = FeedFiles(directory: folder)
        #expect(files.deaths(of: 7) == 0)
        for deaths in 1...2 {
            files.beginAttempt(7)
            // The process dies here. The next one begins with what it has.
            #expect(files.deaths(of: 7) == deaths)
            files.beginAttempt(6)
            files.endAttempt(6)
            #expect(files.deaths(of: 6) == 0)
        }
        files.beginAttempt(8)
        files.endAttempt(8)
        #expect(files.deaths(of: 7) == 2)
        files.endAttempt(7)
        #expect(files.deaths(of: 7) == 0)
    }

    @Test("only the latest attempts are remembered")
    func many() throws {
        let folder = try folder()
        defer { remove(folder) }
        let files = FeedFiles(directory: folder)
        for revision in 1...9 { files.beginAttempt(UInt64(revision)) }
        #expect(files.deaths(of: 1) == 0)
        #expect(files.deaths(of: 2) == 1)
        #expect(files.deaths(of: 9) == 1)
    }
}
