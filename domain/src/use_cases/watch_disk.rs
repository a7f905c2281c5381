use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ports::{Disk, FreeSpace, PortError};

/// Whether the store has room for more data. Use cases that add data, such as sends, read this value first, and refuse
/// the request if there is no room. So the space that is left is kept for acknowledgements and deletions. Reading the
/// value is cheap.
#[derive(Debug)]
pub struct Room(AtomicBool);

impl Default for Room {
    /// Returns a value which says that the store has room.
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Room {
    /// Returns whether the store has room for more data.
    pub fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns a value which says that the store has no room, for tests.
    #[cfg(test)]
    pub(super) fn none() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(false)))
    }
}

/// Watches the free space of the disk. Each server runs this use case about once a second in the background.
pub struct WatchDisk {
    disk: Arc<dyn Disk>,
    minimum: u64,
    room: Arc<Room>,
}

/// Whether the store has run out of room, or has room again, and the free space that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskChange {
    /// There is no room any more.
    Low(FreeSpace),
    /// There is room again.
    Enough(FreeSpace),
}

impl WatchDisk {
    /// Creates the use case. The store has room if `minimum` bytes are free. If `minimum` is 0, the store always has
    /// room.
    pub fn new(disk: Arc<dyn Disk>, minimum: u64) -> Self {
        Self { disk, minimum, room: Arc::default() }
    }

    /// Returns the value that says whether the store has room. Each [`execute`](Self::execute) updates this value.
    pub fn room(&self) -> Arc<Room> {
        self.room.clone()
    }

    /// Checks the free space of the disk. Returns a change if the store has run out of room since the last check, or
    /// has room again.
    ///
    /// # Errors
    ///
    /// If the space can't be determined. In that case, nothing changes.
    pub async fn execute(&self) -> Result<Option<DiskChange>, PortError> {
        if self.minimum == 0 {
            return Ok(None);
        }
        let Some(space) = self.disk.free_space().await? else { return Ok(None) };
        let (had_room, has_room) = (self.room.is_left(), self.has_room(space));
        self.room.0.store(has_room, Ordering::Relaxed);
        Ok(match (had_room, has_room) {
            (true, false) => Some(DiskChange::Low(space)),
            (false, true) => Some(DiskChange::Enough(space)),
            _ => None,
        })
    }

    /// Returns whether there is enough free space. Free space inside the store's files counts, because the files do not
    /// shrink when messages are deleted. But about half of the minimum has to be free on the disk itself: each write
    /// first needs space there, before the store reuses space in its files.
    fn has_room(&self, space: FreeSpace) -> bool {
        // More than the minimum, so that the state does not change with each message.
        let margin = if self.room.is_left() { 0 } else { self.minimum / 8 };
        let needed = self.minimum.saturating_add(margin);
        space.on_disk.saturating_add(space.in_files) >= needed && space.on_disk >= needed / 2
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// A disk whose free space the test sets. `Err` if the space can't be determined, `None` if the disk can't be seen.
    struct FakeDisk(Mutex<Result<Option<FreeSpace>, ()>>);

    #[async_trait]
    impl Disk for FakeDisk {
        async fn free_space(&self) -> Result<Option<FreeSpace>, PortError> {
            self.0.lock().unwrap().map_err(|()| PortError::unavailable("on purpose"))
        }
    }

    fn watch(minimum: u64) -> (Arc<FakeDisk>, WatchDisk) {
        let disk = Arc::new(FakeDisk(Mutex::new(Ok(None))));
        (disk.clone(), WatchDisk::new(disk, minimum))
    }

    fn space(on_disk: u64, in_files: u64) -> FreeSpace {
        FreeSpace { on_disk, in_files }
    }

    #[tokio::test]
    async fn there_is_room_while_the_minimum_is_free_on_the_disk_and_in_files_and_half_of_it_on_the_disk() {
        let (disk, watch) = watch(800);
        for (free, has_room) in [
            (space(800, 0), true),
            (space(799, 0), false),
            (space(899, 0), false),
            (space(900, 0), true),
            (space(400, 400), true),
            (space(399, 10_000), false),
            (space(449, 10_000), false),
            (space(450, 450), true),
            (space(400, 399), false),
            (space(0, u64::MAX), false),
            (space(u64::MAX, u64::MAX), true),
        ] {
            *disk.0.lock().unwrap() = Ok(Some(free));
            let changes = watch.room().is_left() != has_room;
            let expected = if has_room { DiskChange::Enough(free) } else { DiskChange::Low(free) };
            assert_eq!(watch.execute().await.unwrap(), changes.then_some(expected), "{free:?}");
            assert_eq!(watch.room().is_left(), has_room, "{free:?}");
        }
    }

    #[tokio::test]
    async fn without_a_minimum_or_on_a_disk_that_can_not_be_seen_there_is_always_room() {
        for (minimum, free) in [(0, Some(space(0, 0))), (u64::MAX, None)] {
            let (disk, watch) = watch(minimum);
            *disk.0.lock().unwrap() = Ok(free);
            assert_eq!(watch.execute().await.unwrap(), None);
            assert!(watch.room().is_left());
        }
    }

    #[tokio::test]
    async fn if_the_space_can_not_be_determined_nothing_changes() {
        let (disk, watch) = watch(800);
        for (free, has_room) in [(Err(()), true), (Ok(Some(space(0, 0))), false), (Err(()), false)] {
            *disk.0.lock().unwrap() = free;
            assert_eq!(watch.execute().await.is_err(), free.is_err());
            assert_eq!(watch.room().is_left(), has_room);
        }
    }
}
