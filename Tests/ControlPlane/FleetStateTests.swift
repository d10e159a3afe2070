// Who is sent which revision, step by step, without a socket or a clock.

import Snapshot
import Testing

@testable import ControlPlane

@Suite struct FleetStateTests {
    private func key(_ revision: UInt64, _ labels: [String: String] = [:]) -> EditionKey {
        EditionKey(revision: revision, selection: LabelSelection(labels, keys: Set(labels.keys)))
    }

    private func fleet(_ revision: UInt64, keys: Set<String> = []) -> FleetState {
        var fleet = FleetState()
        _ = fleet.publish(.init(revision: revision, keys: keys), hold: nil)
        return fleet
    }

    @Test("nothing is sent before anything is published")
    func unpublished() {
        var fleet = FleetState()
        fleet.open(1, labels: [:], base: nil)
        #expect(fleet.next(1) == .wait)
        #expect(fleet.publish(.init(revision: 1), hold: nil) == [1])
        #expect(fleet.next(1) == .send(from: nil, to: key(1)))
    }

    @Test("a gateway gets everything first, then changes to what it has acknowledged")
    func fullThenDelta() {
        var fleet = fleet(5)
        fleet.open(1, labels: [:], base: nil)
        #expect(fleet.next(1) == .send(from: nil, to: key(5)))
        fleet.sent(1, key(5), isFull: true)
        #expect(fleet.next(1) == .wait)
        let isTaken1 = fleet.applied(1, 5)
        #expect(isTaken1)
        #expect(fleet.next(1) == .wait)
        #expect(fleet.publish(.init(revision: 6), hold: nil) == [1])
        #expect(fleet.next(1) == .send(from: key(5), to: key(6)))
    }

    @Test("a gateway that comes back is told the number even if it has the revision")
    func known() {
        var fleet = fleet(5)
        fleet.open(1, labels: [:], base: key(5))
        #expect(fleet.next(1) == .send(from: key(5), to: key(5)))
        fleet.sent(1, key(5), isFull: false)
        let isTaken2 = fleet.applied(1, 5)
        #expect(isTaken2)
        #expect(fleet.next(1) == .wait)
    }

    @Test("while one revision is under way, the newest of those published meanwhile waits")
    func coalescing() {
        var fleet = fleet(1)
        fleet.open(1, labels: [:], base: nil)
        fleet.sent(1, key(1), isFull: true)
        #expect(fleet.publish(.init(revision: 2), hold: nil).isEmpty)
        #expect(fleet.publish(.init(revision: 3), hold: nil).isEmpty)
        let isTaken3 = fleet.applied(1, 1)
        #expect(isTaken3)
        #expect(fleet.next(1) == .send(from: key(1), to: key(3)))
    }

    @Test("a rejected revision is not sent again, later ones are, upon what was applied last")
    func rejection() {
        var fleet = fleet(1)
        fleet.open(1, labels: [:], base: key(1))
        fleet.sent(1, key(1), isFull: false)
        let isTaken4 = fleet.applied(1, 1)
        #expect(isTaken4)
        _ = fleet.publish(.init(revision: 2), hold: nil)
        fleet.sent(1, key(2), isFull: false)
        let isTaken5 = fleet.rejected(1, 2, needsFull: false)
        #expect(isTaken5)
        #expect(fleet.next(1) == .wait)
        _ = fleet.publish(.init(revision: 3), hold: nil)
        #expect(fleet.next(1) == .send(from: key(1), to: key(3)))
    }

    @Test("a gateway that cannot build on what it has gets everything, once")
    func needsFull() {
        var fleet = fleet(2)
        fleet.open(1, labels: [:], base: key(1))
        fleet.sent(1, key(2), isFull: false)
        let isTaken6 = fleet.rejected(1, 2, needsFull: true)
        #expect(!isTaken6)
        #expect(fleet.next(1) == .send(from: nil, to: key(2)))
        fleet.sent(1, key(2), isFull: true)
        let isTaken7 = fleet.rejected(1, 2, needsFull: true)
        #expect(isTaken7)
        #expect(fleet.next(1) == .wait)
    }

    @Test("answers to what was not sent change nothing")
    func strayAnswers() {
        var fleet = fleet(2)
        fleet.open(1, labels: [:], base: nil)
        let isTaken8 = fleet.applied(1, 2)
        #expect(!isTaken8)
        fleet.sent(1, key(2), isFull: true)
        let isTaken9 = fleet.applied(1, 7)
        #expect(!isTaken9)
        let isTaken10 = fleet.rejected(1, 7, needsFull: true)
        #expect(!isTaken10)
        let isTaken11 = fleet.applied(9, 2)
        #expect(!isTaken11)
        #expect(fleet.next(1) == .wait)
    }

    @Test("gateways that agree on the labels that count share an edition")
    func selections() {
        var fleet = fleet(1, keys: ["zone"])
        fleet.open(1, labels: ["zone": "eu", "rack": "1"], base: nil)
        fleet.open(2, labels: ["zone": "eu", "rack": "2"], base: nil)
        fleet.open(3, labels: ["zone": "us"], base: nil)
        #expect(fleet.editionsInUse == [key(1, ["zone": "eu"]), key(1, ["zone": "us"])])
        #expect(fleet.next(1) == fleet.next(2))
    }

    @Test("a held revision reaches only the canaries, and all others when the hold ends")
    func hold() {
        var fleet = fleet(1)
        for (stream, zone) in [(UInt64(1), "eu"), (2, "us")] {
            fleet.open(stream, labels: ["zone": zone], base: nil)
            fleet.sent(stream, key(1), isFull: true)
            let isTaken12 = fleet.applied(stream, 1)
            #expect(isTaken12)
        }
        let hold = FleetState.Hold(base: .init(revision: 1), canary: ["zone": "eu"])
        #expect(fleet.publish(.init(revision: 2), hold: hold) == [1])
        #expect(fleet.next(1) == .send(from: key(1), to: key(2)))
        #expect(fleet.next(2) == .wait)
        #expect(fleet.publish(.init(revision: 2), hold: nil).contains(2))
        #expect(fleet.next(2) == .send(from: key(1), to: key(2)))
    }

    @Test("a farewell comes before everything else")
    func farewell() {
        var fleet = fleet(1)
        fleet.open(1, labels: [:], base: nil)
        var farewell = ControlPlaneMessage.Farewell()
        farewell.isRevoked = true
        fleet.end(1, farewell)
        #expect(fleet.next(1) == .end(farewell))
        fleet.close(1)
        #expect(fleet.next(1) == .wait)
    }
}
