use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ports::{Disk, FreeSpace, PortError};

/// Whether the store has room for more data. Use cases that store more than they delete ask first, so that what is left
/// remains for acknowledgements and deletions. Asking costs no more than reading a variable.
#[derive(Debug)]
pub struct Room(AtomicBool);

impl Default for Room {
    /// Returns that there is room.
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Room {
    /// Returns whether there is room.
    pub fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Creates a store without room, for tests.
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

/// A change of whether the store has room.
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

    /// Returns whether there is room, as of the last time that the disk was looked at.
    pub fn room(&self) -> Arc<Room> {
        self.room.clone()
    }

    /// Looks at the disk. Returns a change if there is no room from now on, or room again.
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

    /// Space in the files counts, because no file shrinks when messages are deleted. But some has to be free on the
    /// disk, since each write needs it before the store uses space in its files.
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

    /// A disk whose space the test sets. `Err` if it can't be determined.
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
