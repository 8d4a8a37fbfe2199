//! Files, tasks, processes, sockets, timers and signals, with tokio.
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use tokio::{fs, process::Command, signal::unix, time};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let dir = std::env::temp_dir().join(format!("demo-{}", std::process::id()));
    fs::create_dir_all(dir.join("a/b")).await?;
    fs::write(dir.join("a/f"), vec![0u8; 1 << 16]).await?;
    fs::rename(dir.join("a/f"), dir.join("a/g")).await?;
    assert_eq!(fs::read(dir.join("a/g")).await?.len(), 1 << 16);
    fs::remove_dir_all(&dir).await?;

    let tasks: Vec<_> = (0..8)
        .map(|i| {
            tokio::spawn(async move {
                time::sleep(Duration::from_millis(1)).await;
                i
            })
        })
        .collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    assert_eq!(sum, 28);
    assert!(time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err());

    let out = Command::new("echo").arg("in").output().await?;
    assert_eq!(out.stdout, b"in\n");

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move { listener.accept().await.unwrap().0.write_all(b"hello").await.unwrap() });
    let mut text = String::new();
    TcpStream::connect(address).await?.read_to_string(&mut text).await?;
    server.await.unwrap();
    assert_eq!(text, "hello");
    UdpSocket::bind("127.0.0.1:0").await?.send_to(b"x", address).await?;
    let (mut a, mut b) = UnixStream::pair()?;
    a.write_all(b"x").await?;
    assert_eq!(b.read_u8().await?, b'x');
    let _ = tokio::net::lookup_host("localhost:80").await?.count();

    let mut signals = unix::signal(unix::SignalKind::user_defined1())?;
    Command::new("kill").args(["-USR1", &std::process::id().to_string()]).status().await?;
    signals.recv().await;
    println!("ok");
    Ok(())
}
