"""The usual guard is true."""

def main():
    print("guarded", __name__)


if __name__ == "__main__":
    main()
